"""S12: rules and events that want the classifier to stand still. Work is counted; a rule that takes too much of it
sits out or is turned off, says so, and the others go on."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.trials import Proof
from twokey.catalog.rules import Rules, load_rules
from twokey.core import patterns
from twokey.core.errors import Invalid
from twokey.core.patterns import TooMuchWork, Trail, work
from twokey.core.responsibility import Confidence, Label
from twokey.testing.builders import a_signal

MILLION = 1_000_000
PATIENT_S = {"ci": 60.0, "release": 3600.0}
"""What is counted decides; this only catches what is not counted, on the slowest machine."""


@pytest.fixture(autouse=True)
def within_patience(request: pytest.FixtureRequest) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < PATIENT_S[request.config.getoption("--proof")]


def rules_of(tmp_path: Path, *rules: dict[str, Any]) -> Rules:
    """Return rules as a file has them; JSON is YAML. The last one catches everything."""
    last = {"id": "last", "label": "customer-security", "reason": "Caught.", "match": {"signal": {"family": ["guardduty"]}}}  # fmt: skip
    body = {"apiVersion": "twokey.dev/v1", "kind": "Rules", "rules": [*rules, last]}
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps(body))
    return load_rules(path)


def rule(id: str, match: Any, **more: Any) -> dict[str, Any]:
    return {"id": id, "label": "informational", "reason": "A test.", "match": match, **more}


# patterns that make regular expressions burn


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*a*a*a*a*a*a*a*a*a*a*a*b", "a" * 4000),
        ("a*" * 500 + "b", "a" * 4000),
        ("*" + "ab*" * 300 + "c", "ab" * 2000),
        ("*".join("(a+)+$" * 20), "(a+)+$" * 600 + "!"),
    ],
)
def test_stars_never_go_back(pattern: str, text: str) -> None:
    """Each star costs one look through the rest of the text: no way to match is tried twice."""
    compiled = patterns.compile({"signal": {"title": [{"wildcard": pattern}]}})
    assert not compiled.matched({"signal": {"title": text}}, Trail(work.RULE))


def test_two_stars_beside_each_other_are_refused() -> None:
    with pytest.raises(Invalid):
        patterns.compile({"signal": {"title": [{"wildcard": "a**b"}]}})


def test_a_long_text_costs_what_looking_through_it_costs() -> None:
    """Ten thousand alternatives on a text of a megabyte are ten thousand megabytes to look through."""
    compiled = patterns.compile({"raw": {"text": [{"wildcard": f"*{number}*x"} for number in range(10_000)]}})
    with pytest.raises(TooMuchWork):
        compiled.matched({"raw": {"text": "a" * MILLION}}, Trail(work.RULE))


# deep nesting


def test_a_pattern_nested_without_end_is_refused_with_its_place() -> None:
    pattern: Any = ["x"]
    for _ in range(5000):
        pattern = {"a": pattern}
    with pytest.raises(Invalid, match=r"pattern.too_deep"):
        patterns.compile(pattern)


def test_alternatives_in_alternatives_are_refused_when_too_deep() -> None:
    pattern: Any = {"a": ["x"]}
    for _ in range(64):
        pattern = {"$or": [pattern, {"b": ["y"]}]}
    with pytest.raises(Invalid, match=r"pattern.too_deep"):
        patterns.compile(pattern)


def test_lists_in_lists_cost_their_number_and_not_more() -> None:
    value: Any = "x"
    for _ in range(900):
        value = [value, value] if isinstance(value, str) else [value]
    compiled = patterns.compile({"raw": {"a": ["y"]}})
    assert compiled.matched({"raw": {"a": value}}, Trail(work.RULE)) is None


def test_fields_that_must_be_absent_at_every_level_stay_cheap() -> None:
    """Absence is looked for twice at each level; that must not double with each level."""
    pattern: Any = {"z": [{"exists": False}]}
    document: Any = {"z": 1}
    for _ in range(30):
        pattern, document = {"a": pattern}, {"a": [document, document] if "z" in document else [document]}
    assert patterns.compile({"raw": pattern}).matched({"raw": document}, Trail(work.RULE)) is None


# a million elements


def test_a_million_elements_set_the_rule_aside_and_the_others_go_on(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, rule("greedy", {"raw": {"list": [{"prefix": "x"}]}}))
    signal = a_signal(family="guardduty")
    verdict = rules.verdict(signal, {"list": ["a"] * MILLION})
    assert (verdict.rule, verdict.label) == ("last", Label.CUSTOMER_SECURITY)
    assert verdict.fields["rules_set_aside"] == ["greedy"]
    assert verdict.confidence is Confidence.LOW


def test_no_event_turns_a_rule_off_for_the_next_one(tmp_path: Path) -> None:
    """Else one large event would blind a rule before the attack that it is for."""
    rules = rules_of(tmp_path, rule("greedy", {"raw": {"list": [{"prefix": "x"}]}}))
    signal = a_signal(family="guardduty")
    rules.verdict(signal, {"list": ["a"] * MILLION})
    assert rules.disabled == {}
    assert rules.verdict(signal, {"list": ["xyz"]}).rule == "greedy"


def test_a_rule_that_is_too_much_for_an_ordinary_event_is_turned_off_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tests = [{"prefix": f"x{number}"} for number in range(1000)]
    rules = rules_of(tmp_path, rule("heavy", {"raw": {"list": tests}}), rule("light", {"raw": {"a": ["b"]}}))
    signal = a_signal(family="guardduty")
    first = rules.verdict(signal, {"list": ["a"] * 400, "a": "c"})
    assert first.fields["rules_set_aside"] == ["heavy"]
    assert list(rules.disabled) == ["heavy"]
    assert rules.disabled["heavy"].params["place"].startswith("rules.yaml:")
    assert "heavy" in caplog.text
    second = rules.verdict(signal, {"list": ["x1"], "a": "b"})
    assert second.rule == "light"
    assert second.fields["rules_set_aside"] == ["heavy"]


def test_many_greedy_rules_cannot_add_up(tmp_path: Path) -> None:
    """All rules of one event share a budget; one that needs little is asked all the same."""
    greedy = [
        rule(f"greedy-{number:03d}", {"raw": {"list": [{"prefix": f"x{number}"}]}}) for number in range(200)
    ]
    small = rule("small", {"raw": {"short": ["yes"]}})
    rules = rules_of(tmp_path, *greedy, small)
    document: Any = {"list": ["a"] * MILLION, "short": ["no", "yes"]}
    verdict: Any = rules.verdict(a_signal(family="guardduty"), document)
    assert verdict.rule == "small"
    assert len(verdict.fields["rules_set_aside"]) == 10  # as many as are shown


def test_the_shipped_rules_never_run_out_on_a_large_finding() -> None:
    rules = load_rules()
    signal = a_signal(family="guardduty", facts={"buckets": [f"b-{number}" for number in range(2000)]})
    verdict = rules.verdict(signal, {"detail": {"resources": [{"a": number} for number in range(50_000)]}})
    assert verdict.rule == "aws.guardduty"
    assert "rules_set_aside" not in verdict.fields


def test_random_patterns_on_random_events_keep_to_the_budget(proof: Proof) -> None:
    """Whatever stands in a rule, it ends by itself or by the count; nothing else comes out."""
    for random in (trials := proof("S12", "no rule takes more than its budget", ci=300, release=20_000)):
        texts = ["a", "ab", "a" * random.randrange(1, 3000), "*", "\u0000", ""]

        def leaf(random: Any = random, texts: Any = texts) -> Any:
            kind = random.choice(
                ["prefix", "suffix", "wildcard", "anything-but", "numeric", "exists", "cidr", "text"]
            )
            text = random.choice(texts) or "a"
            return {
                "text": text,
                "prefix": {"prefix": text},
                "suffix": {"suffix": text},
                "wildcard": {"wildcard": "*".join(["a"] * random.randrange(1, 60))},
                "anything-but": {"anything-but": [text]},
                "numeric": {"numeric": [">", random.randrange(10)]},
                "exists": {"exists": random.choice([True, False])},
                "cidr": {"cidr": "10.0.0.0/8"},
            }[kind]

        def tree(depth: int, random: Any = random, leaf: Any = leaf) -> Any:
            if depth == 0 or random.random() < 0.3:
                return [leaf() for _ in range(random.randrange(1, 8))]
            return {name: tree(depth - 1) for name in random.sample("abcd", random.randrange(1, 4))}

        def event(depth: int, random: Any = random, texts: Any = texts) -> Any:
            if depth == 0:
                return random.choice([*texts, 1, None, True, 1e300, -(2**70)])
            if random.random() < 0.5:
                return [event(depth - 1) for _ in range(random.randrange(0, 12))] * random.choice([1, 1, 40])
            return {name: event(depth - 1) for name in random.sample("abcd", random.randrange(0, 4))}

        compiled = patterns.compile({"raw": {"a": tree(4)}})
        trail = Trail(work.RULE)
        try:
            compiled.matched({"raw": {"a": event(4)}}, trail)
        except TooMuchWork:
            assert trail.left < 0
            trials.outcome("ran out")
        else:
            assert trail.left >= 0
            trials.outcome("answered")


# CEL, where the extra is installed

HAS_CEL = importlib.util.find_spec("cel_expr_python") is not None


def when(expression: str) -> dict[str, Any]:
    return rule("cel", {"signal": {"family": ["guardduty"]}}, when=expression)


@pytest.mark.skipif(not HAS_CEL, reason="the extra twokey[cel] is not installed")
class TestCel:
    @pytest.mark.parametrize(
        "expression",
        [
            "raw.l.all(a, raw.l.all(b, raw.l.all(c, a + b + c > 0)))",
            "raw.l.map(a, raw.l.map(b, raw.l.filter(c, c == a))).size() > 0",
            "true" + " || true" * 500,
        ],
    )
    def test_loops_in_loops_and_endless_expressions_are_refused_when_the_rule_is_read(
        self, tmp_path: Path, expression: str
    ) -> None:
        with pytest.raises(Invalid, match=r"rules.when_too_big"):
            rules_of(tmp_path, when(expression))

    def test_nesting_without_end_is_refused_with_file_and_line(self, tmp_path: Path) -> None:
        with pytest.raises(Invalid, match=r"rules\.(cel|when_too_big)"):
            rules_of(tmp_path, when("(" * 900 + "true" + ")" * 900))

    @pytest.mark.parametrize(
        ("expression", "document"),
        [
            ("raw.l.exists(a, a == 'x')", {"l": ["a"] * MILLION}),
            ("raw.l.all(a, raw.l.exists(b, a == b))", {"l": list(range(5000))}),
            ("raw.l.map(a, raw.t + a).size() > 0", {"l": ["a"] * 1000, "t": "t" * MILLION}),
            ("raw.d.size() > 0", {"d": {str(number): number for number in range(100_000)}}),
        ],
    )
    def test_what_would_take_too_long_is_not_begun(
        self, tmp_path: Path, expression: str, document: Any
    ) -> None:
        rules = rules_of(tmp_path, when(expression))
        verdict = rules.verdict(a_signal(family="guardduty"), document)
        assert verdict.rule == "last"
        assert verdict.fields["rules_set_aside"] == ["cel"]
        assert rules.disabled == {}

    def test_a_small_event_is_asked_as_ever(self, tmp_path: Path) -> None:
        rules = rules_of(tmp_path, when("raw.l.all(a, raw.l.exists(b, a == b))"))
        verdict = rules.verdict(a_signal(family="guardduty"), {"l": list(range(100))})
        assert (verdict.rule, verdict.confidence) == ("cel", Confidence.HIGH)

    def test_a_pattern_for_regular_expressions_that_burns_elsewhere_is_linear_here(
        self, tmp_path: Path
    ) -> None:
        rules = rules_of(tmp_path, when("raw.t.matches('^(a+)+$')"))
        assert rules.verdict(a_signal(family="guardduty"), {"t": "a" * 5000 + "!"}).rule == "last"
