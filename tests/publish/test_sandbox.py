"""Attack S10: a template cannot reach out, run long or grow; and an author's mistakes are named."""

import os
import time
from pathlib import Path

import pytest
from markupsafe import Markup

from twokey.app import disclosure
from twokey.core.errors import Invalid, NotFound, TwokeyError
from twokey.publish.render import PostmortemRenderer, TemplateRenderer
from twokey.publish.sandbox import MAX_BYTES, MAX_SECONDS

ESCAPES = {
    "mro": "{{ ''.__class__.__mro__[1].__subclasses__()|length }}",
    "class by brackets": "{{ ''['__class__'] }}",
    "globals": "{{ cycler.__init__.__globals__.os.getpid() }}",
    "attr filter": "{{ ''|attr('__class__') }}",
    "format trick": "{{ '{0.__class__.__init__.__globals__}'.format(x) }}",
    "format via attr": "{{ ('{0.__class__}'|attr('format'))(x) }}",
    "format_map": "{{ '{x.__class__}'.format_map({'x': x}) }}",
    "percent format": "{{ '%s'|format(x) }}",
    "percent operator": "{{ '%1000000000d' % 1 }}",
    "list mutation": "{{ items.append(1) }}",
    "dict mutation": "{{ x.update({'a': 1}) }}",
    "dict method": "{{ x.items() }}",
    "environment": "{{ self._TemplateReference__context.environment }}",
    "self": "{{ self.__init__ }}",
    "context": "{{ loop }}",
    "macro internals": "{% macro m() %}{% endmacro %}{{ m.name }}",
    "macro environment": "{% macro m() %}{% endmacro %}{{ m._environment }}",
    "map attribute": "{{ [x]|map(attribute='__class__')|list }}",
    "select attribute": "{{ [x]|selectattr('__class__')|list }}",
    "sort attribute": "{{ [x]|sort(attribute='__class__') }}",
    "safe filter": "{{ x.text|safe }}",
    "escaping off": "{% autoescape false %}{{ x.text }}{% endautoescape %}",
    "lipsum": "{{ lipsum(100000) }}",
    "namespace": "{% set n = namespace(a=1) %}",
    "dict call": "{{ dict(a=1) }}",
    "joiner": "{{ joiner() }}",
    "do extension": "{% do x.update({'a': 1}) %}",
    "a list is printed": "{{ items }}",
    "a dictionary is printed": "{{ x }}",
    "our own hooks": "{{ spend(1) }}{{ joined('a') }}{{ counted([1], 1) }}",
    "undefined": "{{ never.heard.of }}",
}
BOMBS = {
    "string times": "{{ 'a' * 10**9 }}",
    "string times small": "{{ 'a' * 1000000000 }}",
    "list times": "{% for i in [1] * 1000000000 %}{% endfor %}",
    "power": "{{ 9**9**9 }}",
    "number growth": "{% set a = 9007199254740992 %}{% set a = a * a %}{{ a * a }}",
    "range": "{% for i in range(1000000000) %}{% endfor %}",
    "range as a list": "{{ range(100000000)|list|length }}",
    "nested loops, nothing printed": "{% for a in range(1000) %}" * 4 + "{% endfor %}" * 4,
    "nested loops, fixed text": "{% for a in range(1000) %}" * 3 + "x" * 1000 + "{% endfor %}" * 3,
    "captured text": "{% set t %}"
    + "{% for a in range(1000) %}" * 3
    + "x" * 100
    + "{% endfor %}" * 3
    + "{% endset %}",
    "a long page": "{% for a in range(1000) %}{% for b in range(1000) %}"
    + "x" * 50
    + "{% endfor %}{% endfor %}",
    "doubling with ~": "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 40 + "{{ a|length }}",
    "doubling with +": "{% set a = 'x' %}" + "{% set a = a + a %}" * 40 + "{{ a|length }}",
    "doubling a list": "{% set a = [1] %}" + "{% set a = a + a %}" * 40 + "{{ a|length }}",
    "doubling with join": "{% set a = 'x' %}" + "{% set a = [a, a]|join %}" * 40 + "{{ a|length }}",
    "doubling a capture": "{% set a %}xxxxxxxxxxxxxxxx{% endset %}"
    + "{% set a %}{{ a }}{{ a }}{% endset %}" * 40,
    "center": "{{ 'a'|center(1000000000) }}",
    "indent": "{{ 'a'|indent(1000000000) }}",
    "wordwrap": "{{ 'a'|wordwrap(1) }}",
    "ljust": "{{ 'a'.ljust(1000000000) }}",
    "zfill": "{{ 'a'.zfill(1000000000) }}",
    "replace": "{{ 'aaaa'|replace('a', 'b') }}",
    "format width": "{{ '{:>1000000000}'.format(1) }}",
    "batch": "{{ [1]|batch(1000000000, 0)|list }}",
    "slice": "{{ [1]|slice(1000000000)|list }}",
    "recursion of a macro": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "recursion, twice each": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "recursion of an include": "{% include 'page.md.j2' %}",
    "an include, twice each": "{% include 'page.md.j2' %}{% include 'page.md.j2' %}",
    "call blocks": "{% macro m() %}{{ caller() }}{% endmacro %}{% for a in range(1000) %}{% for b in range(1000) %}"
    "{% call m() %}" + "x" * 2000 + "{% endcall %}{% endfor %}{% endfor %}",
    "recursive loop": "{% for a in items recursive %}{{ loop(items) }}{% endfor %}",
    "deep brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "deep lists": "{{ " + "[" * 5000 + "]" * 5000 + " }}",
    "more loops in each other than Python takes": "{% for a in items %}" * 30 + "{% endfor %}" * 30,
    "more conditions in each other than Python takes": "{% if items %}" * 120 + "{% endif %}" * 120,
    "a number that Python writes as a name": "{% set a = 1e999 %}{{ a }}",
}


@pytest.mark.parametrize("source", ESCAPES.values(), ids=ESCAPES.keys())
def test_s10_an_escape_is_an_error_and_runs_nothing(with_template, source):
    facts = {"x": {"text": "<b>"}, "items": [1, 2]}
    with pytest.raises(TwokeyError) as raised:
        with_template(source, **facts)
    assert raised.value.message.code == "postmortem.template_fault"
    assert facts == {"x": {"text": "<b>"}, "items": [1, 2]}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_s10_a_bomb_is_stopped_within_the_limits_and_named(with_template, source):
    before = time.monotonic()
    with pytest.raises(TwokeyError):
        with_template(source, items=[1, 2])
    assert time.monotonic() - before < MAX_SECONDS + 1


def test_s10_a_slow_template_is_stopped_by_the_clock_alone(tmp_path):
    (tmp_path / "page.md.j2").write_text("{% for a in items %}{{ a }}{% endfor %}")
    seconds = iter(range(10_000))
    renderer = TemplateRenderer(tmp_path, tick=lambda: float(next(seconds)))
    with pytest.raises(Invalid) as raised:
        renderer.render("page.md.j2", {"items": [1] * 1000}, "-")
    assert "time is over" in raised.value.message.params["problem"]


def test_s10_a_page_of_more_than_two_megabytes_is_refused_counting_bytes(with_template):
    facts = {"rows": [Markup("記" * 1000)] * 1000}
    with pytest.raises(Invalid) as raised:
        with_template("{% for row in rows %}{{ row }}{% endfor %}", **facts)
    assert str(MAX_BYTES) in raised.value.message.params["problem"]


@pytest.mark.parametrize(
    "name",
    ["../secret.j2", "/etc/passwd", "link.md.j2", "down/page.md.j2", "..", "", "page.md", "a\0.j2", "dir.j2"],
)
def test_s10_nothing_outside_the_folder_is_a_template(tmp_path, name):
    folder = tmp_path / "templates"
    (folder / "down").mkdir(parents=True)
    (folder / "dir.j2").mkdir()
    (tmp_path / "secret.j2").write_text("secret")
    (folder / "down" / "page.md.j2").write_text("secret")
    (folder / "page.md").write_text("secret")
    os.symlink(tmp_path / "secret.j2", folder / "link.md.j2")
    (folder / "page.md.j2").write_text("{% include name %}")
    renderer = TemplateRenderer(folder)
    with pytest.raises(NotFound):
        renderer.render(name, {}, "-")
    with pytest.raises(Invalid) as raised:
        renderer.render("page.md.j2", {"name": name}, "-")
    assert raised.value.message.params["template"] == "page.md.j2"
    assert raised.value.message.params["problem"].endswith("not a template of this folder")


def test_s10_text_from_a_finding_is_never_template_source(with_template):
    hostile = "{{ 7 * 7 }}{% include '/etc/passwd' %}${{ steps.x }}"
    page = with_template("{{ text }}|{{ text ~ text }}|{{ [text]|join }}", text=hostile)
    assert "49" not in page
    assert "{{" not in page
    assert "{%" not in page


def test_a_template_author_cannot_forget_to_escape(with_template):
    facts = {"evil": "[x](http://e) <b> *y*"}
    sources = [
        "{{ evil }}",
        "{{ 'a ' ~ evil }}",
        "{{ 'a ' + evil }}",
        "{{ [evil, evil]|join(' ') }}",
        "{% set t %}{{ evil }}{% endset %}{{ t }}",
        "{% set t = evil %}{{ t }}",
        "{% macro m(v) %}{{ v }}{% endmacro %}{{ m(evil) }}",
        "{% macro m(v) %}{{ v }}{% endmacro %}{{ m(evil) ~ evil }}",
        "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ evil }}{% endcall %}",
        "{{ evil|upper }}",
        "{{ missing|default(evil) }}",
        "{{ evil if evil else '' }}",
        "{{ (evil, 1)[0] }}",
        "{% filter lower %}{{ evil }}{% endfilter %}",
        "{{ {'a': evil}.a }}",
    ]
    for source in sources:
        page = with_template(source, **facts).lower()
        assert "<b>" not in page, source
        assert "](http" not in page.replace("`[x](http://e)`", ""), source
        assert " *y*" not in page, source


def test_unknown_values_print_not_recorded(with_template):
    assert (
        with_template("{{ value }}|{{ rows.x }}", value=None, rows={"x": None}) == "not recorded|not recorded"
    )


def test_a_fault_names_the_template_and_the_line(with_template):
    with pytest.raises(Invalid) as raised:
        with_template("one\ntwo\n{{ nobody }}\n")
    assert raised.value.message.params["template"] == "page.md.j2"
    assert raised.value.message.params["line"] == "3"
    with pytest.raises(Invalid) as raised:
        with_template("one\n{% if %}\n")
    assert raised.value.message.params["line"] == "2"


def test_a_file_that_is_no_text_is_named_with_its_line(tmp_path):
    (tmp_path / "page.md.j2").write_bytes(b"one\ntwo \xff\n")
    with pytest.raises(Invalid) as raised:
        TemplateRenderer(tmp_path).render("page.md.j2", {}, "-")
    assert raised.value.message.params == {"template": "page.md.j2", "line": "2", "problem": "not UTF-8"}


def test_what_templates_need_works(with_template):
    page = with_template(
        "{% macro row(r) %}| {{ r.name }} |{% endmacro %}"
        "{% for r in rows %}{{ loop.index }}{{ row(r) }}{% if not loop.last %};{% endif %}{% else %}none{% endfor %}"
        " {{ rows|length }} {{ rows[0].name }} {{ rows|first|length }} {{ 1 + 2 * 3 }} {{ 7 // 2 }}"
        "{% for i in range(3) %}{{ i }}{% endfor %}",
        rows=[{"name": "a"}, {"name": "b"}],
    )
    assert page == "1| a |;2| b | 2 a 1 7 3012"


def test_a_changed_template_is_read_again(tmp_path):
    page = tmp_path / "page.md.j2"
    page.write_text("one")
    renderer = TemplateRenderer(tmp_path)
    assert renderer.render("page.md.j2", {}, "-") == "one"
    page.write_text("two")
    os.utime(page, ns=(1, 1))
    assert renderer.render("page.md.j2", {}, "-") == "two"


def test_a_missing_folder_and_an_unknown_zone_are_named_at_start(tmp_path):
    with pytest.raises(NotFound):
        TemplateRenderer(Path(tmp_path / "nowhere"))
    with pytest.raises(Invalid):
        PostmortemRenderer(tmp_path, disclosure(), zone="Mars/Olympus")
