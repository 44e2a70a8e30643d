"""What attackers write into events, in every place where an event has text; and what must not be left of it."""

from __future__ import annotations

import copy
import html
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

FIXTURES = Path(__file__).parents[1] / "fixtures"
PAYLOADS: dict[str, str] = {
    "channel": "<!channel> <!here|all> <!everyone>",
    "people": "<@U0BEN> <!subteam^S0SEC|@security> <#C0FFEE|general>",
    "link": "<https://evil.example/a|Approve here> <mailto:x@evil.example|mail>",
    "bare link": "see https://evil.example/approve now",
    "date link": "<!date^1392734382^{date}^https://evil.example/d|yesterday>",
    "code": "`code` ```fence``` *bold* _it_ ~no~ \n```\n<!channel>\n```",
    "quote": "\n> quoted\n>>> all\n# Heading\n- [ ] item\n| a | b |\n|---|---|\n---\n",
    "entity": "&lt;!channel&gt; &amp;lt; &#60;script&#62; &",
    "bidi": "safe\u202egpj.exe\u2066\u2069\u200f\u061c",
    "zero width": "ap\u200bpro\u200dve\ufeff\u2060\u00ad\u3164\u2800",
    "control": "a\x00b\x07\x1b[31mred\x1b]0;title\x07\x1b[0m\r\n\x7f\x85\x9b31m\u2028\u2029",
    "forged line": "\r\n2026-01-01 00:00:00,000 CRITICAL twokey: forged\r\n{\"forged\":true}\n",
    "template": "{{ 7919*7907 }} {% for x in y %} ${{ incident.id }} {plan} %s %(x)s {0.__class__}",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)><a href=\"javascript:alert(1)\">x</a>",
    "markdown": "[Approve](https://evil.example/m) ![i](https://evil.example/i.png) <https://evil.example/auto>",
    "surrogate": "half \ud83d pair \ud800\udc00",
    "long": "A" * 5_000 + "<!channel>",
    "long entities": "<&>`" * 1_000,
}  # fmt: skip
# What an event is read by stays, where all of its text is written at once.
STRUCTURE = re.compile(
    r"detail-?type|source|schema_?(id|version)|(spec|data)?version|type|signalType|monitoringService"
    r"|eventSource|eventName|operationName|category(Name|_uid|_name)?|class_name|incidentType|ProductArn"
    r"|eventTypeCategory|eventTypeCode|service|account|.*time.*|.*date.*|.*At|status|level",
    re.IGNORECASE,
)
FAMILIES: dict[str, str] = {
    "guardduty-access-key": "aws",
    "guardduty-crypto-mining": "aws",
    "guardduty-attack-sequence": "aws",
    "guardduty-malware-scan-threats": "aws",
    "securityhub-imported-public-bucket": "aws",
    "securityhub-v2-sensitive-data": "aws",
    "health-issue": "aws",
    "health-credentials-exposed": "aws",
    "health-planned-lifecycle": "aws",
    "cloudtrail-delete-bucket": "aws",
    "cloudtrail-scp-at-root": "aws",
    "cloudwatch-alarm": "aws",
    "service-health-incident-common": "azure",
    "service-health-maintenance-legacy": "azure",
    "service-health-security-legacy": "azure",
    "resource-health-common": "azure",
    "administrative-legacy": "azure",
    "event-grid-availability": "azure",
}
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_OWN = re.compile(r"<!date\^\d+\^\{date_num\} \{time_secs\}\|[^<>|]*>")
Place = tuple[Any, ...]


def event(family: str) -> Any:
    """Return the published sample of a family."""
    found = json.loads((FIXTURES / FAMILIES[family] / f"{family}.json").read_text())
    return found[0] if isinstance(found, list) else found


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Yield where an event has text."""
    if isinstance(value, str):
        yield at
    elif isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(item, (*at, name))


def written(value: Any, at: Place, text: str) -> None:
    """Write a text into one place of an event."""
    for name in at[:-1]:
        value = value[name]
    value[at[-1]] = text


def read(value: Any, at: Place) -> str:
    """Return the text in one place."""
    for name in at:
        value = value[name]
    return str(value)


def hostile(original: str, payload: str, random: Random) -> str:
    """Return a payload alone, or behind or before what belongs there."""
    return random.choice([payload, original + payload, payload + original])


def at_one_place(family: str, at: Place, payload: str, random: Random) -> Any:
    """Return an event that is hostile in one place."""
    made = copy.deepcopy(event(family))
    written(made, at, hostile(read(made, at), payload, random))
    return made


def at_every_place(family: str, turn: int, random: Random) -> Any:
    """Return an event that is hostile wherever that leaves it readable; each turn moves the payloads on."""
    made = copy.deepcopy(event(family))
    payloads = list(PAYLOADS.values())
    for number, at in enumerate(places(made)):
        if not STRUCTURE.fullmatch(str(at[-1])):
            payload = payloads[(number + turn) % len(payloads)]
            written(made, at, hostile(read(made, at), payload, random))
    return made


def hidden_in(text: str, allowed: str = "\n") -> list[str]:
    """Return every character of a text that a reader does not see."""
    return [hex(ord(c)) for c in text if c not in allowed and unicodedata.category(c) in _HIDDEN]


def texts_of(content: Any) -> Iterator[tuple[str, str]]:
    """Yield every text that Slack shows, with its kind."""
    if isinstance(content, dict):
        if isinstance(content.get("text"), str):
            yield str(content.get("type", "mrkdwn")), content["text"]
        for value in content.values():
            yield from texts_of(value)
    elif isinstance(content, list):
        for item in content:
            yield from texts_of(item)


def assert_dead(kind: str, text: str) -> None:
    """Nothing in a text can be followed, notifies anybody, or hides."""
    assert not hidden_in(text), (kind, hidden_in(text)[:5], text[:300])
    bare = _OWN.sub("", text)
    assert "<" not in bare, (kind, text[:500])
    if kind != "plain_text":
        assert ">" not in bare, (kind, text[:500])
        assert not re.search(r"&(?!amp;|lt;|gt;)", bare), (kind, text[:500])
        # one step of unescaping gives the attacker's words back, not something that is escaped twice by chance
        assert "\0" not in html.unescape(bare)
    assert "62615533" not in text, "a template in an event was evaluated"
