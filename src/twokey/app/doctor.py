"""Examining an installation: one look at every part, each fault with what mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from twokey import app as wiring
from twokey.app.faults import as_sentence
from twokey.app.running import build_listening
from twokey.core.errors import Invalid, TwokeyError, Unavailable
from twokey.core.people import Role
from twokey.flow.stamping import last_stamp, require_stamp
from twokey.ports import Look
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
    looks = [Look(part, partial(look, settings)) for part, look in _OURS]
    for module in settings.modules:
        looks.extend(module.looks(wiring.SystemClock(), is_configured=module in settings.configured))
    for look in [*looks, Look("listening", partial(_listening, settings))]:
        try:
            findings.append(Finding(look.part, True, look.look()))
        except TwokeyError as fault:
            findings.append(Finding(look.part, False, as_sentence(fault, settings.language)))
    return findings


def _database(settings: Settings) -> str:
    record = wiring.open_record(settings)
    try:
        seq, head = record.verify()
    finally:
        record.close()
    return f"the audit trail of {seq} entries is whole (head {seq}:{head[:12]}){_readable(settings)}"


def _readable(settings: Settings) -> str:
    """Return a warning about a file of the record that others can read; one of an earlier version was made so."""
    from twokey.store.database_files import readable_by_others

    path = settings.database_url.removeprefix("sqlite:///")
    if path == settings.database_url or not (open_files := readable_by_others(path)):
        return ""
    return f"; others on the machine can read {', '.join(open_files)}: chmod 600 {path}*"


def _roster(settings: Settings) -> str:
    roster = wiring.build_rosters(settings).current()
    able = [p for p in roster.people if p.roles & {Role.APPROVER, Role.COMMANDER}]
    warning = "" if len(able) > 1 else "; with fewer than two who can turn a key nothing can ever be approved"
    if not warning and len([p for p in able if Role.APPROVER in p.roles]) < 2:
        warning = "; with fewer than two approvers nothing critical can ever be approved"
    return f"{len(roster.people)} people, {len(able)} of them can turn a key on others' plans{warning}"


def _step_up(settings: Settings) -> str:
    from twokey.stepup import read_secrets

    wanted = [book.approval.step_up for book in wiring.build_library(settings).approved()]
    signed, asking = wanted.count("passkey"), wanted.count("totp")
    says = []
    if signed:
        wiring.build_passkeys(settings).address("sign", "")  # Refused where there is no page
        people = [person for person in wiring.build_rosters(settings).current().people if person.passkeys]
        says.append(f"{len(people)} people have a passkey; {signed} runbooks ask for signatures")
    if asking:
        secrets = read_secrets(settings.totp_file)
        says.append(f"{len(secrets)} people have a one-time code; {asking} runbooks ask for one")
    return "; ".join(says) or "no approved runbook asks for a code"


def _runbooks(settings: Settings) -> str:
    library = wiring.build_library(settings)
    faults = library.faults()
    if faults:
        raise faults[0]
    return ", ".join(book.id for book in library.approved()) or "none is approved: twokey runbook approve"


def _addresses(settings: Settings) -> str:
    if settings.elsewhere:
        where = ", ".join(f"{name} = {host}" for name, host in settings.elsewhere.items())
        raise Invalid("settings.rehearsal", where=where)
    idle = "; TWOKEY_REHEARSAL is set for nothing: take it away" if settings.rehearsal else ""
    return f"Slack and every cloud at their own{idle}"


def _rules(settings: Settings) -> str:
    wiring.classifier(settings)
    return f"loaded from {settings.rules_dir}"


def _templates(settings: Settings) -> str:
    from twokey.publish.render import PostmortemRenderer

    PostmortemRenderer(settings.templates_dir, wiring.disclosure(settings.modules), zone=settings.timezone)
    return f"{settings.templates_dir}, times also in {settings.timezone}"


def _listening(settings: Settings) -> str:
    record = wiring.open_record(settings)
    try:
        listening = build_listening(settings, record, wiring.SystemClock())
        heard, silent = listening.heard(), listening.silent()
    finally:
        record.close()
    # The longest silent first, and every one of them: one that is known to be quiet hides no other.
    since = {name: f"{at:%Y-%m-%d %H:%M} UTC" for name, at in sorted(silent.items(), key=lambda one: one[1])}
    if len(since) == 1:
        ((source, at),) = since.items()
        raise Unavailable("listening.silent", source=source, since=at)
    if since:
        each = "; ".join(f"{source} ({at})" for source, at in since.items())
        raise Unavailable("listening.silent_several", count=len(since), sources=each)
    never = [source for source, last in heard.items() if last is None]
    which = f"never heard: {', '.join(never)}" if never else "all of them heard"
    return f"{len(heard)} sources, {which}"


def _time_stamps(settings: Settings) -> str:
    stamper = wiring.build_stamper(settings)
    if stamper is None:
        return (
            "none: whoever owns both the database and Slack's token can write the past anew (TWOKEY_TSA_URL)"
        )
    stamper.certificates()
    record = wiring.open_record(settings)
    try:
        stamping = wiring.build_stamping(settings, record, wiring.SystemClock())
        assert stamping is not None
        overdue = stamping.overdue()
        with record.read() as look:
            last = last_stamp(look)
            if last:
                require_stamp(look, last, stamper)
    finally:
        record.close()
    if overdue:
        raise Unavailable("audit.stamps_overdue", since=f"{overdue:%Y-%m-%d %H:%M} UTC", url=settings.tsa_url)
    said = f"the last one is of {last.at:%Y-%m-%d %H:%M} UTC, over entry {last.seq}" if last else "none yet"
    return f"{said}; asked: {settings.tsa_url}"


_OURS: tuple[tuple[str, Callable[[Settings], str]], ...] = (
    ("addresses", _addresses),
    ("database", _database),
    ("roster", _roster),
    ("step-up", _step_up),
    ("runbooks", _runbooks),
    ("rules", _rules),
    ("templates", _templates),
    ("time stamps", _time_stamps),
)
