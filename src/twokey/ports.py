"""Everything twokey asks of the outside world, on one page. Adapters implement these; the flow knows nothing else."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event as Stop
from typing import Protocol, TypeVar

from twokey.core.audit import AuditEntry
from twokey.core.errors import Json, Message, Refused
from twokey.core.executions import Lookup
from twokey.core.incidents import Incident
from twokey.core.jobs import Job
from twokey.core.people import Actor, Passkey, Roster
from twokey.core.postmortems import Postmortem, Record
from twokey.core.responsibility import Verdict
from twokey.core.runbooks import CheckResult, Effect, Preview, Reversibility, Risk, Runbook, Target
from twokey.core.signals import RawNotification, Signal


class Noun(Protocol):
    """Anything that is stored: it has an id that is unique among its kind."""

    @property
    def id(self) -> str: ...


N = TypeVar("N", bound=Noun)


class Clock(Protocol):
    """The only way to know the time."""

    def now(self) -> datetime:
        """Return the present moment, in UTC and aware of it."""
        ...


class Snapshot(Protocol):
    """A consistent look at the record."""

    def get(self, kind: type[N], id: str) -> N | None:
        """Return the noun with this id."""
        ...

    def find(
        self,
        kind: type[N],
        /,
        *,
        limit: int = 1000,
        skip: int = 0,
        newest_first: bool = False,
        **equal: object,
    ) -> list[N]:
        """Return nouns whose indexed fields equal all that is given, oldest first unless told otherwise.

        The first `skip` of them are left out: a page of a list costs what a page costs.
        Which fields are indexed is the store's table of columns; another name is a programming error (KeyError).
        A tuple of values means any of them.
        """
        ...

    def count(self, kind: type[N], /, **equal: object) -> int:
        """Return how many nouns there are whose indexed fields equal all that is given, without reading them."""
        ...

    def audit(self, *, incident_id: str = "", after: int = 0, limit: int = 10_000) -> list[AuditEntry]:
        """Return audit entries in order, of one incident or of all."""
        ...

    def head(self) -> tuple[int, str]:
        """Return sequence and hash of the last audit entry, (0, GENESIS) when there is none."""
        ...


class Transaction(Snapshot, Protocol):
    """One change. Transactions run one after the other; all of it is kept, or nothing.

    Leaving the block without an audit entry, when anything was changed, raises and keeps nothing.
    """

    def add(self, noun: Noun) -> None:
        """Keep a new noun; raise Conflict when its id, or another unique field, is taken."""
        ...

    def put(self, noun: Noun) -> None:
        """Keep a noun, in place of the one with its id if there is one."""
        ...

    def append(
        self,
        actor: Actor,
        action: str,
        *,
        incident_id: str = "",
        plan_id: str = "",
        data: Mapping[str, Json] | None = None,
    ) -> AuditEntry:
        """Write the audit entry of this change."""
        ...

    def enqueue(self, job: Job) -> None:
        """Owe a job; the same id twice owes it once."""
        ...

    def next_number(self, name: str) -> int:
        """Return the next number of a counter (1, 2, 3 ...): gaps never, repeats never."""
        ...


class Store(Protocol):
    """The record: nouns, the audit trail, and the jobs that are owed."""

    def read(self) -> AbstractContextManager[Snapshot]:
        """Look without changing."""
        ...

    def change(self, *, patient: bool = False) -> AbstractContextManager[Transaction]:
        """Change something. One that is patient lets the others of this process go first."""
        ...

    def receive(self, notifications: Sequence[RawNotification], actor: Actor) -> list[str]:
        """Keep a batch of notifications in one transaction: rows, audit entries and sort jobs of the new ones.

        Returns the ids that were new. When it returns, all are durable and may be acknowledged.
        """
        ...


class Engine(Protocol):
    """Durable work: runs owed jobs, one at a time per lock, again after a crash."""

    def run(self, stop: Stop) -> None:
        """Work until told to stop; the job in hand is finished first."""
        ...

    def drain(self, limit: int = 1000) -> int:
        """Run what is due now, until nothing is; return how many jobs ran."""
        ...

    def alive(self) -> bool:
        """Say, for readiness, whether it is at work."""
        ...


JobHandler = Callable[[Job], None]
"""What an engine calls for a job. Returning means done; RetryAfter means again after a while; another
TwokeyError means parked and told. Unavailable, and anything that is no TwokeyError, is a fault: tried
again with back-off, then parked and told. LostLease leaves the job to the worker that has it."""

DeadLetterHandler = Callable[[Job, Exception], None]
"""What an engine calls when it gives a job up: people are told."""


class Normaliser(Protocol):
    """One cloud's reader of notifications: pure, no I/O."""

    def normalise(self, raw: RawNotification) -> tuple[Signal, ...]:
        """Return the signals in a notification; raise Invalid with the reason when it cannot be understood."""
        ...

    def payload(self, signal: Signal, raw: RawNotification) -> Json:
        """Return the part of a notification that a signal was read from, without the envelopes around it."""
        ...


class DocumentReader(Normaliser, Protocol):
    """A normaliser that also takes documents which come without an envelope: files that somebody classifies."""

    def recognises(self, document: Json) -> bool:
        """Say whether a document looks like something this cloud sends."""
        ...

    def normalise_json(self, document: Json, raw: RawNotification) -> tuple[Signal, ...]:
        """Return the signals in a document that was parsed already."""
        ...


AuthorizeSource = Callable[[Signal, RawNotification], Message | None]
"""Says why the source of a notification may not speak for what a signal of it names; None when it may."""


class Classifier(Protocol):
    """The rules, loaded."""

    def verdict(self, signal: Signal, raw: RawNotification) -> Verdict:
        """Say whose side a signal is on; no rule matching gives the label unknown."""
        ...


class Source(Protocol):
    """A place where notifications are fetched from."""

    name: str

    def receive(self) -> list[RawNotification]:
        """Wait a while for notifications; return those that came, possibly none."""
        ...

    def done(self, notifications: Iterable[RawNotification]) -> None:
        """Acknowledge notifications that are stored."""
        ...


class Cursors(Protocol):
    """How far the sources that are asked again and again have been read; survives a restart."""

    def position(self, source: str) -> str:
        """Return where a source stands, "" when it was never read."""
        ...

    def move(self, source: str, position: str) -> None:
        """Keep where a source stands from now on; the same place again changes nothing."""
        ...


@dataclass(frozen=True, slots=True)
class ActingFor:
    """The run on whose behalf a cloud is called, and the audit entry that it began with: a cloud's log names both."""

    plan_id: str
    incident_id: str
    seq: int
    hash: str


ACTING_FOR: ContextVar[ActingFor | None] = ContextVar("ACTING_FOR", default=None)
"""Set by the executor for as long as it runs a plan, and by nobody else; None while plans are made and looked at.

A variable and not a parameter: every read that a run makes would have to hand it on, and forget it somewhere.
"""


class Action(Protocol):
    """One thing that can be done in a cloud. `inputs` maps each input to its type name; `outputs` names results."""

    name: str
    effect: Effect
    reversibility: Reversibility
    permissions: tuple[str, ...]
    inputs: Mapping[str, str]
    outputs: tuple[str, ...]

    def least_risk(self, inputs: Mapping[str, Json]) -> Risk:
        """Return the least risk that a runbook may have which does this, whatever its author says.

        Inputs may be `${{ }}` text, or missing, here: what is not known yet counts as the worst that it may be.
        """
        ...

    def preview(self, target: Target, inputs: Mapping[str, Json]) -> Preview:
        """Say from reads only what would be touched, and refuse what must never be.

        Inputs that come from earlier steps are still `${{ steps... }}` text here.
        """
        ...

    def capture(self, target: Target, inputs: Mapping[str, Json]) -> Mapping[str, Json]:
        """Read the state that an undo will need, right before the first write. Read actions return {}."""
        ...

    def apply(self, target: Target, inputs: Mapping[str, Json], key: str) -> Mapping[str, Json]:
        """Do it and return its outputs. Twice with the same key is once; the preview's refusal is checked again."""
        ...

    def find(self, target: Target, inputs: Mapping[str, Json], key: str) -> Lookup:
        """Tell by reading whether the effect is there: for a call without a recorded answer, and for the watch."""
        ...


class Check(Protocol):
    """One question to a cloud, by reads only."""

    name: str
    permissions: tuple[str, ...]
    inputs: Mapping[str, str]

    def holds(self, target: Target, inputs: Mapping[str, Json]) -> CheckResult:
        """Answer, with what was seen."""
        ...


class Cloud(Protocol):
    """What one cloud brings: loaded when it is configured, and a cloud that cannot load stops the start."""

    name: str
    actions: Mapping[str, Action]
    checks: Mapping[str, Check]
    parameter_types: Mapping[str, str]  # type name -> regular expression that the whole text must match
    scope_parameters: tuple[str, ...]
    """The parameters of a runbook that say where its plan acts, and with it who may approve it.

    Each has the type `<cloud>.<parameter>`. Where a runbook asks for none of them it acts where the incident is.
    """


class Inbox(Protocol):
    """Where the endpoints put what came, before they answer."""

    async def put(self, raw: RawNotification) -> None:
        """Return when the notification is durable; raise Unavailable when it is not, or takes too long."""
        ...


@dataclass(frozen=True, slots=True)
class Route:
    """One address that the process answers to: `answer` is what Starlette takes as the endpoint of a route."""

    path: str
    methods: tuple[str, ...]
    answer: Callable[..., Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Connection:
    """A cloud that is configured, and the queues and lists of it that are read, over one session."""

    cloud: Cloud
    sources: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """One look at an installation: `look` says what it found, or raises what has to be mended."""

    part: str
    look: Callable[[], str]


@dataclass(frozen=True, slots=True)
class PublicNames:
    """What a page for outsiders may say about a cloud, all of it from closed sets, and what it must never show.

    What must never be shown are shapes with the name by which people are told: `wholes` are taken out before
    addresses and e-mails are looked for, `ids` after them, and every host in one of `domains`.
    """

    title: str = ""
    region: Callable[[str], str] = lambda _region: ""  # as outsiders may read it; "" of text that is none
    services: Mapping[str, str] = field(
        default_factory=dict
    )  # as signals name it, in small letters -> its name
    tracking_id: str = ""  # regular expression of a public one; "" when there are none
    wholes: tuple[tuple[str, re.Pattern[str]], ...] = ()
    ids: tuple[tuple[str, re.Pattern[str]], ...] = ()
    domains: tuple[str, ...] = ()


class CloudModule(Protocol):
    """What a cloud's folder brings, as its own section of the settings describes it. Making one loads no SDK.

    `twokey.clouds` lists them. Notifications of every cloud are read; what is done, and fetched, in a cloud needs
    that TWOKEY_CLOUDS names it.
    """

    @property
    def name(self) -> str:
        """Return the word its runbooks, sources and settings begin with."""
        ...

    @property
    def scope(self) -> str:
        """Return the regular expression of what people hold roles for: an account, a subscription or the like."""
        ...

    @property
    def secret_prefixes(self) -> tuple[str, ...]:
        """Return what stands right before a secret in the addresses it is called by: `/x/` or `?code=`."""
        ...

    @property
    def public(self) -> PublicNames:
        """Return what a page for outsiders may say about it."""
        ...

    @property
    def cause_wait(self) -> timedelta:
        """Return how long a signal waits for the one that has its cause, where it is known to follow."""
        ...

    def variables(self) -> Mapping[str, object]:
        """Return every variable of its section, `TWOKEY_<NAME>_*`, with its default."""
        ...

    def read(self, environment: Mapping[str, str]) -> tuple[CloudModule, list[str]]:
        """Return it as these variables describe it, and what is wrong with them: `<variable>: <what is wanted>`."""
        ...

    def elsewhere(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """Return every address that is not the cloud's own, by the variable that says so: an emulator's, or a trap."""
        ...

    def config(self) -> Mapping[str, Json]:
        """Return what a runbook may take `from: config.<name>.*`."""
        ...

    def normaliser(self) -> DocumentReader:
        """Return its reader of notifications."""
        ...

    def complete_signal(self, signal: Signal) -> Signal:
        """Return a signal of before readers gave typed answers with what today's reader would answer."""
        ...

    def complete_incident(self, incident: Incident) -> Incident:
        """Return an incident of before with the same."""
        ...

    def source_authorization(self) -> AuthorizeSource:
        """Return what says for whom a source may speak; Invalid where the settings do not say it clearly."""
        ...

    def declarations(self, clock: Clock) -> Cloud:
        """Return its actions, checks and types for whoever checks a runbook: no setting is needed."""
        ...

    def connect(self, clock: Clock, cursors: Cursors) -> Connection:
        """Return the cloud and what is read from it. Nothing is called yet; an address that is none is Invalid."""
        ...

    def routes(self, inbox: Inbox, clock: Clock) -> Sequence[Route]:
        """Return the addresses that it calls; Invalid where one could be guessed."""
        ...

    def heard_from(self) -> tuple[str, ...]:
        """Return the sources that speak by themselves, each by the very `RawNotification.source` of what it says."""
        ...

    def looks(self, clock: Clock, *, is_configured: bool) -> Sequence[Look]:
        """Return what an examination of the installation looks at."""
        ...

    def policies(self) -> Mapping[str, Json]:
        """Return the documents that grant the least it needs, by file name."""
        ...


class Library(Protocol):
    """The runbooks as the files say right now."""

    def runbook(self, runbook_id: str) -> Runbook:
        """Return a runbook whose digest stands in approved.lock; refuse another (Refused), or NotFound."""
        ...

    def approved(self) -> list[Runbook]:
        """Return every runbook that may be proposed."""
        ...


class Rosters(Protocol):
    """The people as the roster says right now; unreadable means nobody, and says so."""

    def current(self) -> Roster:
        """Read the roster again."""
        ...


class StepUp(Protocol):
    """The second factor that never travels in a channel."""

    def verify(self, person_id: str, code: str, now: datetime) -> str | None:
        """Return the identity of this one code (to be used once), or None when the code is wrong."""
        ...


class Passkeys(Protocol):
    """Passkeys of people's own devices: what only they can sign, and anybody can verify."""

    def address(self, page: str, token: str) -> str:
        """Return the address of a page (`sign` or `add`) for one link; Refused where there are no pages."""
        ...

    def signs(self, passkey: Passkey, challenge: bytes, assertion: Mapping[str, str]) -> bool:
        """Say whether this passkey signed this challenge, its person verified by the device."""
        ...

    def made(self, challenge: bytes, answer: Mapping[str, str]) -> Passkey:
        """Return the passkey that a device made for a challenge; Refused when the answer is not to it."""
        ...


class NoPasskeys:
    """No pages, so no signatures: what asks for one does not run."""

    def address(self, page: str, token: str) -> str:
        """Refuse."""
        raise Refused("refused.passkeys_off")

    def signs(self, passkey: Passkey, challenge: bytes, assertion: Mapping[str, str]) -> bool:
        """Say no."""
        return False

    def made(self, challenge: bytes, answer: Mapping[str, str]) -> Passkey:
        """Refuse."""
        raise Refused("refused.passkeys_off")


class Publisher(Protocol):
    """Where post-mortems are made and put."""

    def render(self, record: Record, language: str, audience: str) -> str:
        """Return the Markdown of a post-mortem: language en or ja, audience internal or public."""
        ...

    def publish(self, postmortem: Postmortem) -> str:
        """Put it where the team reads it, and return where that is. Twice is once."""
        ...


class TimeStamper(Protocol):
    """An authority whose clock and signature are nobody's here: RFC 3161."""

    def stamp(self, data: bytes) -> tuple[datetime, bytes]:
        """Return the moment and the answer of a fresh stamp over these bytes, which was checked.

        Unavailable when the authority does not answer; Refused when its answer is not its own, or for other bytes.
        """
        ...

    def check(self, data: bytes, answer: bytes) -> datetime:
        """Return the moment that an answer of before states for these bytes; Tampered when it does not."""
        ...


Checkpoint = Callable[[str], None]
"""Called with a name at every boundary of a run; does nothing, except in the crash tests."""


def no_checkpoint(name: str) -> None:
    """Go on."""


def authorize_every_source(signal: Signal, raw: RawNotification) -> Message | None:  # noqa: ARG001 - the port has them
    """Let every source speak for everything."""
    return None
