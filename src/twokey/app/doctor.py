"""Examining an installation: one look at every part, each fault with what mends it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from twokey import app as wiring
from twokey.app.aws import aws_doors, aws_vouch
from twokey.app.azure import azure_doors, azure_queues, azure_session, azure_vouch
from twokey.app.faults import told
from twokey.app.running import build_listening
from twokey.core.errors import TwokeyError, Unavailable
from twokey.core.people import Role
from twokey.settings import Settings, missing_to_serve


@dataclass(frozen=True)
class Finding:
    """What was found out about one part."""

    part: str
    ok: bool
    says: str


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; one part that fails never hides another."""
    missing = missing_to_serve(settings)
    findings = [
        Finding("settings", not missing, "complete" if not missing else "missing: " + "; ".join(missing))
    ]
    for part, look in _LOOKS:
        try:
            findings.append(Finding(part, True, look(settings)))
        except TwokeyError as fault:
            findings.append(Finding(part, False, told(fault, settings.language)))
    return findings


def _database(settings: Settings) -> str:
    record = wiring.open_record(settings)
    try:
        seq, head = record.verify()
    finally:
        record.close()
    return f"the audit trail of {seq} entries is whole (head {seq}:{head[:12]})"


def _roster(settings: Settings) -> str:
    roster = wiring.build_rosters(settings).current()
    able = [p for p in roster.people if p.roles & {Role.APPROVER, Role.COMMANDER}]
    warning = "" if len(able) > 1 else "; with fewer than two who can turn a key nothing can ever be approved"
    return f"{len(roster.people)} people, {len(able)} of them can turn a key on others' plans{warning}"


def _step_up(settings: Settings) -> str:
    from twokey.stepup import read_secrets

    asking = [book.id for book in wiring.build_library(settings).approved() if book.approval.step_up]
    if not asking:
        return "no approved runbook asks for a code"
    secrets = read_secrets(settings.totp_file)
    return f"{len(secrets)} people have a one-time code; {len(asking)} runbooks ask for one"


def _runbooks(settings: Settings) -> str:
    library = wiring.build_library(settings)
    faults = library.faults()
    if faults:
        raise faults[0]
    return ", ".join(book.id for book in library.approved()) or "none is approved: twokey runbook approve"


def _rules(settings: Settings) -> str:
    wiring.classifier(settings)
    return f"loaded from {settings.rules_dir}"


def _templates(settings: Settings) -> str:
    from twokey.publish.render import PostmortemRenderer

    PostmortemRenderer(settings.templates_dir, zone=settings.timezone)
    return f"{settings.templates_dir}, times also in {settings.timezone}"


def _ways_of_aws(settings: Settings) -> str:
    """Say by what ways AWS reaches us, and whether each may speak for every account."""
    doors = aws_doors(settings, wiring.SystemClock())
    aws_vouch(settings)
    lists = ", ".join(settings.aws_poll) if settings.aws_poll_s else "nothing"
    whom = (
        "each source speaks for its own accounts"
        if settings.aws_source_scopes
        else "every source may speak for every account: TWOKEY_AWS_SOURCE_SCOPES limits that"
    )
    return (
        f"{len(settings.aws_queues)} queues, {len(settings.aws_sns_topics)} SNS topics over HTTPS,"
        f" {len(doors.keys)} keys for EventBridge, {lists} is asked; {whom}"
    )


def _doors(settings: Settings) -> str:
    doors = azure_doors(settings, wiring.SystemClock())
    every = (*doors.azure, *doors.events)
    locked = sum(1 for door in every if door.may_enter is not None)
    return (
        f"{len(doors.azure)} Azure webhooks and {len(doors.events)} Event Grid addresses,"
        f" {locked} of them want an Entra token; {len(settings.aws_queues)} AWS queues"
    )


def _listening(settings: Settings) -> str:
    record = wiring.open_record(settings)
    try:
        listening = build_listening(settings, record, wiring.SystemClock())
        heard, silent = listening.heard(), listening.silent()
    finally:
        record.close()
    if silent:
        raise _silence(silent)
    never = [source for source, last in heard.items() if last is None]
    said = f"{len(heard)} sources"
    return f"{said}, never heard: {', '.join(never)}" if never else f"{said}, all of them heard"


def _silence(silent: Mapping[str, datetime]) -> Unavailable:
    """Name every silent source, the longest silent first: one that is known to be quiet hides no other."""
    since = {name: f"{at:%Y-%m-%d %H:%M} UTC" for name, at in sorted(silent.items(), key=lambda one: one[1])}
    if len(since) == 1:
        ((source, at),) = since.items()
        return Unavailable("listening.silent", source=source, since=at)
    each = "; ".join(f"{source} ({at})" for source, at in since.items())
    return Unavailable("listening.silent_several", count=len(since), sources=each)


def _azure(settings: Settings) -> str:
    azure_vouch(settings)
    if "azure" not in settings.clouds:
        return "not one of TWOKEY_CLOUDS"
    queues = azure_queues(settings, azure_session(settings), wiring.SystemClock())
    whom = (
        "each source speaks for its own subscriptions"
        if settings.azure_source_scopes
        else "every source may speak for every subscription: TWOKEY_AZURE_SOURCE_SCOPES limits that"
    )
    said = f"{len(settings.azure_subscriptions)} subscriptions, {len(queues)} storage queues, {whom}"
    if settings.azure_poll_s:
        return f"{said}, polled every {settings.azure_poll_s} s"
    hint = (
        "; no polling: what is lost while Azure does not call a webhook stays lost (TWOKEY_AZURE_POLL_S=300)"
    )
    return said + (hint if settings.doors() else "")


_LOOKS: tuple[tuple[str, Callable[[Settings], str]], ...] = (
    ("database", _database),
    ("roster", _roster),
    ("step-up", _step_up),
    ("runbooks", _runbooks),
    ("rules", _rules),
    ("templates", _templates),
    ("ways of AWS", _ways_of_aws),
    ("doors", _doors),
    ("azure", _azure),
    ("listening", _listening),
)
