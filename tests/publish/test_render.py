"""What a post-mortem says: an auditor finds everything in the internal one, an outsider no name in the public one."""

import dataclasses
import re
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twokey.app import disclosure
from twokey.core.errors import NotFound, message
from twokey.core.executions import StepState
from twokey.core.incidents import Severity, State, Times
from twokey.core.postmortems import PostedHead, Similar, metrics
from twokey.core.responsibility import Label
from twokey.core.runbooks import PlanState
from twokey.core.signals import Principal, Resource
from twokey.testing.builders import (
    a_containment,
    a_plan,
    a_record,
    a_step_record,
    a_verdict,
    an_entry,
    an_incident,
    at,
)
from twokey.words import word

SECTIONS = {
    "en": [
        "Summary", "Impact", "Responsibility", "Lead-up", "Detection", "Response and containment", "Timeline",
        "Metrics", "Contributing factors", "Five whys", "What went well, what went wrong, where we got lucky",
        "Action items", "Similar incidents", "External message", "Supporting information",
    ],
    "ja": [
        "概要", "影響", "責任の所在", "経緯（きっかけ）", "検知", "対応と封じ込め", "タイムライン", "指標", "要因",
        "なぜなぜ分析", "うまくいったこと・いかなかったこと・幸運だったこと", "アクションアイテム", "類似インシデント",
        "社外向けのお知らせ", "補足情報",
    ],
}  # fmt: skip
VERSIONS = [(language, audience) for language in ("en", "ja") for audience in ("internal", "public")]


def section(page: str, title: str) -> str:
    return page.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_sections_stand_in_the_order_of_the_product_page(renderer, language):
    page = renderer.render(a_record(), language, "internal")
    assert re.findall(r"^## (.*)$", page, re.M) == SECTIONS[language]


@pytest.mark.parametrize(("language", "audience"), VERSIONS)
def test_the_front_matter_is_yaml_with_the_facts(renderer, language, audience):
    page = renderer.render(a_record(), language, audience)
    front = yaml.safe_load(page.split("---\n")[1])
    assert page.startswith("---\n")
    assert front["id"] == "INC-12"
    assert front["severity"] == "SEV2"
    assert (front["language"], front["audience"], front["status"]) == (language, audience, "Draft")


@pytest.mark.parametrize(
    ("severity", "due"),
    [(Severity.SEV1, "2026-11-24"), (Severity.SEV2, "2026-11-27"), (Severity.SEV3, "not recorded")],
)
def test_the_review_is_due_three_days_after_sev1_and_five_working_days_after_sev2(renderer, severity, due):
    page = renderer.render(a_record(incident=an_incident(severity=severity)), "en", "internal")
    assert f'review_by: "{due}"' in page


def test_responsibility_shows_the_deciding_fields_and_what_remains_ours(renderer):
    verdict = a_verdict(Label.PROVIDER_OUTAGE, fields={"eventTypeCategory": "issue", "x": ["a", True]})
    text = section(
        renderer.render(a_record(incident=an_incident(verdict=verdict)), "en", "internal"), "Responsibility"
    )
    for said in (
        "provider: outage",
        "Accountable: customer",
        "cloud provider",
        "`aws-health-issue`",
        "IaaS",
        "high",
    ):
        assert said in text
    assert "| `eventTypeCategory` | `issue` |" in text
    assert "| `x` | `a`, yes |" in text
    assert "redundancy, failover and telling our customers were ours" in text


def test_containment_shows_keys_with_roles_digest_and_preview_against_effect(renderer):
    kept = a_containment()
    text = section(renderer.render(a_record(), "en", "internal"), "Response and containment")
    assert "| Aoi Sato | proposer | 2026-11-21 12:05:00 | 2026-11-21 21:05:00 +09:00 |" in text
    assert "| Ben Okafor | approver | 2026-11-21 12:11:00 | 2026-11-21 21:11:00 +09:00 |" in text
    assert kept.plan.digest in text
    assert "`aws.disable-leaked-access-key@1.0.0`" in text
    assert "status: `Active`" in text
    assert "status: `Inactive` | **done and verified**" in text
    assert "available, not asked for" in text
    assert "was refused" in text


def test_an_undone_plan_a_voided_plan_and_a_broken_glass_say_so(renderer):
    undone = a_containment(undone_by="plan-2", undo_state=PlanState.DONE)
    voided = a_containment(
        plan=a_plan(state=PlanState.VOIDED, reason=message("no.such_code", what="`x` <b>")),
        journal=(),
        keys=(),
    )
    glass = a_containment(
        plan=a_plan(break_glass_by="d-aoi", break_glass_reason="nobody <b>awake</b>", confirm_by=at(999))
    )
    page = renderer.render(a_record(containments=(undone, voided, glass)), "en", "internal")
    assert "undone by plan `plan-2`" in page
    assert "| Why it ended | `no.such_code`" in page
    assert "No key was turned." in page
    assert "run on one key by Aoi Sato. Reason: nobody &lt;b&gt;awake&lt;/b&gt;." in page
    assert "still owes a confirmation" in page
    confirmed = replace(glass, plan=replace(glass.plan, confirmed_by="d-ben"))
    page = renderer.render(a_record(containments=(confirmed,)), "en", "internal")
    assert "Confirmed afterwards by Ben Okafor" in page


def test_every_timeline_row_has_utc_local_time_with_date_and_its_audit_entry(renderer):
    text = section(renderer.render(a_record(), "en", "internal"), "Timeline")
    rows = [line for line in text.splitlines() if line.startswith("| 2026")]
    assert len(rows) == 10
    assert [row.split(" | ")[-1] for row in rows] == [f"{number} |" for number in range(1, 11)]
    assert all(
        re.match(r"\| 2026-11-2\d \d\d:\d\d:\d\d \| 2026-11-2\d \d\d:\d\d:\d\d \+09:00 \| ", row)
        for row in rows
    )


def test_a_storm_is_one_row_with_all_its_entry_numbers_and_people_are_never_folded(renderer):
    from twokey.core.people import Actor, system

    storm = [an_entry(n, "joined", at=at(n), actor=system("intake")) for n in range(1, 900)]
    notes = [
        an_entry(n, "noted", at=at(n), actor=Actor("d-aoi"), data={"text": "same"}) for n in range(900, 903)
    ]
    page = renderer.render(a_record(entries=(*storm, *notes)), "en", "internal")
    text = section(page, "Timeline")
    assert "took in a further signal ×899 |  | 1–899 |" in text
    assert text.count("| note | same |") == 3


def test_the_sending_of_messages_is_left_out_and_counted_but_a_failure_is_told(renderer):
    actions = ("notice.sending", "notice.sent", "notice.sending", "notice.failed")
    page = renderer.render(
        a_record(entries=tuple(an_entry(n, a) for n, a in enumerate(actions, 1))), "en", "internal"
    )
    assert "\n3 entries that only record the sending" in page
    assert "a message could not be delivered" in page


def test_a_timeline_that_does_not_fit_says_how_much_is_left_out(renderer):
    notes = tuple(an_entry(n, "noted", data={"text": f"{n} " + "長い文です。" * 90}) for n in range(1, 3000))
    page = renderer.render(a_record(entries=notes), "en", "internal")
    assert len(page.encode()) < 2_000_000
    shown = len(re.findall(r"^\| 2026.* note ", page, re.M))
    left = int(re.findall(r"(\d+) later entries did not fit", page)[0])
    assert shown + left == 2999


def test_a_flood_of_plans_and_refusals_is_cut_and_says_so(renderer):
    refusals = tuple(an_entry(n, "approval.refused") for n in range(1, 100))
    plans = tuple(a_containment(plan=a_plan(f"plan-{n}"), events=refusals) for n in range(200))
    page = renderer.render(a_record(containments=plans), "en", "internal")
    assert len(page.encode()) < 1_000_000
    assert "170 more plans are in the record" in page
    assert "79 more are in the audit trail" in page


def test_metrics_print_both_ends_and_no_number_when_an_end_is_unknown_or_out_of_order(renderer):
    times = replace(an_incident().times, contained=None, acked=at(-10))
    record = a_record(incident=an_incident(times=times))
    text = section(renderer.render(record, "en", "internal"), "Metrics")
    assert (
        "| Time to contain | detected: 2026-11-21 11:55:00 | contained: not recorded | not recorded |" in text
    )
    assert (
        "| Time to acknowledge | notified: 2026-11-21 11:57:00 | acknowledged: 2026-11-21 11:50:00 | not recorded |"
        in text
    )
    assert (
        "| Time to resolve | started: 2026-11-21 11:30:00 | resolved: 2026-11-21 13:00:00 | 1 h 30 min |"
        in text
    )
    assert (
        "| Approval latency (`plan-1`) | requested: 2026-11-21 12:05:00 | approved: 2026-11-21 12:11:00 | 6 min |"
        in text
    )
    assert (
        "| Execution (`plan-1`) | approved: 2026-11-21 12:11:00 | done: 2026-11-21 12:14:00 | 3 min |" in text
    )
    assert "mean" not in text.lower().replace("means", "")


def test_nothing_on_record_prints_not_recorded_in_both_languages_and_guesses_nothing(renderer):
    bare = an_incident(
        times=Times(), resources=(), principal=Principal(), service="", region="", account="", tenant="",
        commander="", tracking_id="", verdict=a_verdict(Label.UNKNOWN, fields={}, reason="", rule="", service_model=""),
    )  # fmt: skip
    record = a_record(
        incident=bare, entries=(), containments=(), names={}, head=None, sources=(), drafted_by=""
    )
    for language, unknown in (("en", "not recorded"), ("ja", "記録なし")):
        for audience in ("internal", "public"):
            page = renderer.render(record, language, audience)
            assert page.count(unknown) > 15
            assert "None" not in page.replace("None are on record", "")


def test_the_reason_of_a_shipped_rule_is_in_the_readers_language(renderer):
    verdict = a_verdict(rule="aws.health.risk", reason=word("rule.aws.health.risk"))
    record = a_record(incident=an_incident(verdict=verdict))
    for language in ("en", "ja"):
        assert word("rule.aws.health.risk", language) in renderer.render(record, language, "internal")


def test_supporting_information_names_the_audit_head_the_posted_heads_and_the_missing_logs(renderer):
    posted = (PostedHead(3, "c" * 64, at(3), True), PostedHead(4, "d" * 64, at(4), False))
    record: Any = a_record(posted=posted)
    text = section(renderer.render(record, "en", "internal"), "Supporting information")
    assert f"entry 10, hash `{record.head[1]}`" in text
    assert f"| 3 | `{'c' * 64}` | 2026-11-21 12:03:00 | yes |" in text
    assert "**NO: the trail was changed**" in text
    assert "`raw-" + "a" * 32 in text
    assert "| `export_trail` | `aws.export_trail` |" in text
    ran = a_containment(journal=(a_step_record("export_trail", order=0), a_step_record()))
    text = section(renderer.render(a_record(containments=(ran,)), "en", "internal"), "Supporting information")
    assert "No evidence step failed or was left out." in text


def test_action_items_and_similar_incidents_are_tables(renderer):
    item = an_entry(
        11, "action.added",
        data={"text": "Rotate every key", "owner": "d-ben", "due": "2026-12-01", "type": "prevent", "ticket": "SEC-9"},
    )  # fmt: skip
    similar = (Similar("INC-3", "old | title", at(-9999), State.CLOSED, "group"),)
    page = renderer.render(a_record(entries=(item,), similar=similar), "en", "internal")
    assert "| Rotate every key | prevent | Ben Okafor | 2026-12-01 | not recorded | `SEC-9` | 11 |" in page
    assert "| `INC-3` | 2026-11-14 13:21:00 | closed | same principal | old \\| title |" in page


def test_another_language_or_audience_is_refused(renderer):
    for language, audience in (("fr", "internal"), ("en", "secret"), ("../en", "public")):
        with pytest.raises(NotFound):
            renderer.render(a_record(), language, audience)


@pytest.mark.parametrize("label", list(Label))
@pytest.mark.parametrize(("language", "audience"), VERSIONS)
def test_every_label_renders_and_every_word_of_ours_is_in_the_catalogue(renderer, label, language, audience):
    page = renderer.render(a_record(incident=an_incident(verdict=a_verdict(label))), language, audience)
    assert "postmortem." not in page
    assert f"`{label.value}`" not in page


def test_japanese_pages_have_no_english_prose(renderer):
    """Words from the cloud and from our own identifiers stay as they are; sentences and labels do not."""
    for audience in ("internal", "public"):
        page = renderer.render(a_record(), "ja", audience)
        body = page.split("---\n", 2)[2].replace(a_record().incident.title, "")
        body = body.replace("GuardDuty reports on what customers do", "").replace(
            "Deactivate a leaked access key", ""
        )
        body = body.replace("the key was in a public .env file", "")
        prose = re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", re.sub(r"`[^`]*`", "", body))
        assert prose == []


# outsiders


def poisoned(value, canary, counter):
    """Put a canary into every text of a noun, however deep; what is a closed set, a time or a number stays."""
    if isinstance(value, Enum | datetime | timedelta | bool | int | float | type(None)):
        return value
    if isinstance(value, str):
        counter.append(value)
        return canary(len(counter))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {
            field.name: poisoned(getattr(value, field.name), canary, counter)
            for field in dataclasses.fields(value)
            if field.init
        }
        return replace(value, **changes)
    if isinstance(value, tuple | list | frozenset):
        return type(value)(poisoned(item, canary, counter) for item in value)
    if isinstance(value, dict):
        return {poisoned(k, canary, counter): poisoned(v, canary, counter) for k, v in value.items()}
    return value


CANARIES = {
    "word": lambda n: f"canary{n}bird",
    "account": lambda n: f"{444455550000 + n}",
    "arn": lambda n: f"arn:aws:s3:::canary-bucket-{n}",
    "mail": lambda n: f"canary{n}@bird.example",
    "key": lambda n: f"AKIACANARY{n:010}",
    "ip": lambda n: f"203.0.113.{n % 250}",
    "incident-like": lambda n: f"canary-INC-{n}",
    "japanese": lambda n: f"金糸雀{n}",
}


@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES.keys())
@pytest.mark.parametrize("language", ["en", "ja"])
def test_s15_no_text_of_the_record_reaches_the_public_page(renderer, canary, language):
    counter: list[str] = []
    record = poisoned(a_record(posted=(PostedHead(1, "x", at(1), True),)), canary, counter)
    page = renderer.render(record, language, "public")
    assert len(counter) > 100
    assert not [n for n in range(1, len(counter) + 1) if canary(n) in page]
    assert "canary" not in page.lower()
    assert "金糸雀" not in page


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_s15_whatever_the_texts_are_the_public_page_is_made_of_closed_sets(renderer, data):
    """The same page comes out, except where a text is a member of a closed set."""
    texts = st.text(min_size=1, max_size=40).filter(lambda text: len(text.strip()) > 3)
    words = data.draw(st.lists(texts, min_size=5, max_size=5))
    record = poisoned(a_record(), lambda n: f"{words[n % 5]}{n}", [])
    other = poisoned(a_record(), lambda n: f"something else entirely {n}", [])
    assert renderer.render(record, "en", "public") == renderer.render(other, "en", "public")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_s15_the_public_page_names_nothing_and_no_shape_of_a_name_is_in_it(renderer, language):
    page = renderer.render(a_record(), language, "public")
    assert disclosure().shapes_in(page) == ()
    for name in (
        "Aoi",
        "Sato",
        "Ben",
        "deploy",
        "AKIA",
        "111122223333",
        "arn:",
        "o-example",
        "T0ACME",
        "plan-1",
    ):
        assert name not in page
    assert "Amazon" in page or "AWS IAM" in page
    assert "us-east-1" in page


def test_the_public_page_says_how_many_people_agreed_and_admits_a_broken_glass(renderer):
    page = renderer.render(a_record(), "en", "public")
    assert "| 1 | 2 people | 2026-11-21 12:05:00 |" in page
    assert "1 × access key" in page
    assert "emergency" not in page
    glass = a_containment(
        plan=a_plan(state=PlanState.DONE, break_glass_by="d-aoi"), keys=(("Aoi", "break-glass", at(6)),)
    )
    page = renderer.render(a_record(containments=(glass,)), "en", "public")
    assert "second confirmation is still outstanding" in page


def test_a_service_or_region_that_is_not_known_to_the_world_is_not_said(renderer):
    odd = an_incident(
        service="acme-payroll", region="acme-datacenter-1", provider="acme-cloud", tracking_id="ACME-123"
    )
    page = renderer.render(a_record(incident=odd), "en", "public")
    assert "acme" not in page.lower()


# hostile text

PAYLOADS = [
    "<!channel> <@U0123ABC> <https://evil.example|Approve>",
    "``` [x](https://evil.example) ![y](//e) <script>x</script>",
    "a\n\n# Approved by Ben\n\n| x | y |\n---\nstatus: Closed",
    "\u202egnp\u202c \x00 \x1b[31m \u200b",
    "{{ 7*7 }} {% include 'x' %} @channel @here",
    "x" * 1_000_000,
]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_s7_hostile_text_in_every_field_changes_nothing_around_it(renderer, payload, language):
    from markdown_it import MarkdownIt

    incident = an_incident(
        title=payload, service=payload, region=payload, account=payload, tracking_id=payload,
        principal=Principal(payload, payload, payload, payload), resources=(Resource(payload, payload, payload),),
        verdict=a_verdict(rule=payload, reason=payload, service_model=payload, fields={payload: payload}),
        roles={payload: payload}, commander=payload,
    )  # fmt: skip
    kept = a_containment(
        plan=a_plan(title=payload, runbook_id=payload, reason=message(payload, x=payload)),
        proposer=payload,
        journal=(
            a_step_record("export_trail", state=StepState.FAILED, order=0, error=message("x.y", why=payload)),
            a_step_record(seen={payload: payload}),
        ),
    )
    record = a_record(
        incident=incident, containments=(kept,), sources=(payload,), names={"d-aoi": payload}, drafted_by=payload,
        entries=(an_entry(1, "noted", data={"text": payload}), an_entry(2, payload, data={payload: payload, "code": payload})),
        similar=(Similar("INC-3", payload, at(0), State.CLOSED, "group"),),
    )  # fmt: skip
    page = renderer.render(record, language, "internal")
    assert re.findall(r"^## (.*)$", page, re.M) == SECTIONS[language]
    assert len(page) < 100_000
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e]", page)
    assert "{{" not in page
    assert yaml.safe_load(page.split("---\n")[1])["status"] == "Draft"
    kinds = set()
    for token in MarkdownIt("commonmark").enable("table").parse(page.split("---\n", 2)[2]):
        kinds.add(token.type)
        kinds |= {inner.type for inner in token.children or []}
    assert not kinds & {"link_open", "image", "html_inline", "html_block", "fence", "hr", "code_block"}
    columns = [
        line.count(" | ")
        for line in section(page, SECTIONS[language][6]).splitlines()
        if line.startswith("| ")
    ]
    assert len(set(columns)) == 1


def test_s15_a_secret_in_any_field_is_on_no_page(renderer):
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    said = f"found aws_secret_access_key = {secret} and password=hunter22 in .env"
    record = poisoned(a_record(metrics=metrics(an_incident().times)), lambda n: said, [])
    for language, audience in VERSIONS:
        page = renderer.render(record, language, audience)
        assert "K7MDENG" not in page
        assert "hunter22" not in page
