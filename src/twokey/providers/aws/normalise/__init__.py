"""AWS notifications into signals: pure, no network, no SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from twokey.core.errors import Json
from twokey.core.signals import RawNotification, Signal
from twokey.providers.aws.normalise import (
    cloudtrail,
    guardduty,
    health,
    malware_scans,
    ocsf,
    others,
    own_role,
    securityhub,
)
from twokey.providers.aws.normalise.envelopes import PAGES, Envelope, Unit, broken, units
from twokey.providers.reading import Obj, bounded, items, parsed

_Reader = Callable[[Obj, Envelope], Signal]

_BY_DETAIL_TYPE: dict[str, _Reader] = {
    "AWS API Call via CloudTrail": cloudtrail.record,
    "AWS Console Sign In via CloudTrail": cloudtrail.record,
    "AWS Console Action via CloudTrail": cloudtrail.record,
    "AWS Insight via CloudTrail": cloudtrail.record,
    "AWS Service Event via CloudTrail": cloudtrail.record,
    "AWS Health Abuse Event": health.event,
    "AWS Health Event": health.event,
    "GuardDuty Finding": guardduty.finding,
    "Security Hub Insight Results": securityhub.insights,
}

# Bare documents are known by what they hold; the first that recognises one reads it.
_BY_CONTENT: tuple[tuple[Callable[[Obj], bool], _Reader], ...] = (
    (securityhub.is_finding, securityhub.finding),
    (ocsf.is_event, ocsf.event),
    (health.is_event, health.event),
    (cloudtrail.is_record, cloudtrail.record),
    (guardduty.is_finding, guardduty.finding),
    (health.is_status_record, health.status_record),
)
_MARKS = (
    "detail-type",
    "DetailType",
    "TopicArn",
    "Records",
    "Findings",
    "AlarmName",
    "configRuleName",
)


class AwsNormaliser:
    """Reads what GuardDuty, Security Hub, Health, CloudTrail and other AWS sources send.

    `own_roles` are the names of the roles that twokey itself acts as: its own calls are no attack.
    """

    def __init__(self, own_roles: Iterable[str] = own_role.DEFAULT_ROLES) -> None:
        self._own_roles = tuple(name for name in own_roles if name)

    def normalise(self, raw: RawNotification) -> tuple[Signal, ...]:
        """Return the signals in a notification; Invalid when it cannot be understood."""
        return self.normalise_json(parsed(raw.body), raw)

    def normalise_json(self, body: Json, raw: RawNotification) -> tuple[Signal, ...]:
        """Do the same with a body that was parsed already."""
        return bounded(signal for unit in units(body, raw, self._own_roles) for signal in _signals(unit))

    def payload(self, signal: Signal, raw: RawNotification) -> Json:
        """Return the document that a signal was read from, its wrappers taken off: `raw` to a rule."""
        body = parsed(raw.body)
        whole = list(units(body, raw, self._own_roles))
        if len(whole) == 1:
            return whole[0].envelope.document
        return next(
            (
                unit.envelope.document
                for unit in whole
                if any(found.id == signal.id for found in _signals(unit))
            ),
            body,
        )

    @staticmethod
    def recognises(document: Json) -> bool:
        """Say whether a document looks like something AWS sends."""
        if isinstance(document, list):
            return any(AwsNormaliser.recognises(item) for item in document[:5] if isinstance(item, dict))
        if not isinstance(document, dict):
            return False
        if any(mark in document for mark in _MARKS) or any(test(document) for test, _ in _BY_CONTENT):
            return True
        return any(AwsNormaliser.recognises(items(document, page)[:1]) for page in PAGES)


def _signals(unit: Unit) -> Iterator[Signal]:
    detail, around = unit.detail, unit.envelope
    if unit.message:
        yield others.event(unit)
    elif around.detail_type in _BY_DETAIL_TYPE:
        yield _BY_DETAIL_TYPE[around.detail_type](detail, around)
    elif malware_scans.is_scan_result(around.detail_type):
        yield malware_scans.scan_result(detail, around)
    elif "findings" in detail and "Findings" in around.detail_type:
        yield from _findings(unit)
    elif around.detail_type:
        yield others.event(unit)
    else:
        reader = next((read for test, read in _BY_CONTENT if test(detail)), None)
        yield reader(detail, around) if reader else others.event(unit)


def _findings(unit: Unit) -> Iterator[Signal]:
    """Read every finding of one event; one that cannot be read does not hide the others."""
    listed = items(unit.detail, "findings")
    if not listed:
        yield others.event(unit)
    for index, item in enumerate(listed):
        if not isinstance(item, dict):
            yield others.event(broken(unit.envelope, f"$.detail.findings[{index}]"))
        elif ocsf.is_event(item):
            yield ocsf.event(item, unit.envelope)
        else:
            yield securityhub.finding(item, unit.envelope)
