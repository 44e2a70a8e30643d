"""Runbooks as written, and plans: one runbook rendered for one incident, with what it would touch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import cast

import rfc8785

from twokey.core.errors import Invalid, Json, Message
from twokey.core.younger import written_fields, younger


class Risk(StrEnum):
    """How much one wrong yes can break; it decides how many keys are needed."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Provenance(StrEnum):
    """Who a parameter's value is from."""

    INCIDENT = "incident"
    CONFIG = "config"
    PERSON = "person"  # the one who made the plan, its requester
    DEFAULT = "default"  # of the runbook


def highest(risks: Iterable[Risk]) -> Risk:
    """Return the highest of some risks, low when there is none."""
    return max(risks, key=tuple(Risk).index, default=Risk.LOW)


class Reversibility(StrEnum):
    """Whether what an action did can be taken back."""

    REVERSIBLE = "reversible"
    ONLY_IF_UNCHANGED = "restores_only_if_unchanged"  # somebody else's change since stands in the way
    IRREVERSIBLE = "irreversible"


class Effect(StrEnum):
    """What an action does to the world."""

    READ = "read"
    CREATE = "create"
    MODIFY = "modify"
    DELETE = "delete"

    @property
    def is_write(self) -> bool:
        """Say whether the world is different afterwards."""
        return self is not Effect.READ


class OnFailure(StrEnum):
    """What to do when a step fails for good: stop, ask a person in the thread, go on, or propose the undo."""

    STOP = "stop"
    ASK = "ask"
    CONTINUE = "continue"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Param:
    """One input of a runbook. `source` is `incident.x` or `config.x.y` and fills it when nobody gives it.

    What comes from the settings (`config.x.y`) a person gives only where the runbook says `may_override`.
    """

    name: str
    type: str
    required: bool = False
    default: Json = None
    source: str = ""
    may_override: bool = False


@dataclass(frozen=True, slots=True)
class CheckCall:
    """A named question to the cloud that must answer yes. With `or_skip`, no means the step is not needed."""

    check: str
    inputs: Mapping[str, Json] = field(default_factory=dict)
    id: str = ""
    or_skip: bool = False
    within_s: float = 0.0  # keep asking this long before no counts


@dataclass(frozen=True, slots=True)
class ActionCall:
    """A named action with its inputs; in an undo, inputs may refer to `steps.<id>.outputs.*` and `.prior.*`."""

    action: str
    inputs: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and for which kinds of failure a step is tried again."""

    max_attempts: int = 1
    backoff_s: float = 2.0
    retry_on: tuple[str, ...] = ()  # throttle | concurrent_modification | unavailable


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it calls, and what must hold before and after. In a plan, inputs are concrete
    except for references to earlier steps, which are only known when those have run."""

    id: str
    phase: str  # evidence | contain | verify
    action: str
    effect: Effect
    inputs: Mapping[str, Json] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)  # name -> key in the action's result
    when: str = ""
    for_each: str = ""
    pre: tuple[CheckCall, ...] = ()
    verify: CheckCall | None = None
    undo: ActionCall | None = None
    irreversible: str = ""  # the reason, where there is no undo
    retry: Retry = field(default_factory=Retry)
    timeout_s: float = 60.0
    on_failure: OnFailure = OnFailure.STOP
    needs: tuple[str, ...] = younger(())  # ids of earlier steps without whose effect this one must not run


@dataclass(frozen=True, slots=True)
class ApprovalProfile:
    """What a runbook asks for beyond its risk; it may only make things stricter."""

    min_approvals: int = 2
    requester_may_approve: bool = True
    expires_in_s: float = 1800.0
    typed_confirmation: str = ""  # template of what the approver types
    step_up: str = ""  # "" | totp | passkey


def as_strict_as(risk: Risk, profile: ApprovalProfile) -> ApprovalProfile:
    """Return a profile that asks for a code where the risk does; how many, and whose, follows from the risk alone."""
    if profile.step_up or risk not in (Risk.HIGH, Risk.CRITICAL):
        return profile
    return replace(profile, step_up="totp")


@dataclass(frozen=True, slots=True)
class Runbook:
    """A containment written down, reviewed, and approved by its digest."""

    id: str
    version: str
    digest: str  # SHA-256 of the file's canonical content and of every document it names
    title: str
    provider: str
    risk: Risk
    reversible: str  # full | partial | none
    steps: tuple[Step, ...]
    params: tuple[Param, ...] = ()
    guards: tuple[CheckCall, ...] = ()
    approval: ApprovalProfile = field(default_factory=ApprovalProfile)
    applies_to: tuple[str, ...] = ("customer-side",)
    triggers: tuple[Mapping[str, Json], ...] = ()  # suggestions only: people start it
    blast_scope: tuple[str, ...] = ()
    blast_max: Mapping[str, int] = field(default_factory=dict)
    evidence_mode: str = "before"  # before | parallel
    evidence_budget_s: float = 600.0
    break_glass: bool = False
    owners: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    documents: Mapping[str, str] = field(default_factory=dict)  # template path -> JSON text
    path: str = ""  # the file it was read from


@dataclass(frozen=True, slots=True)
class Target:
    """Where an action acts: one account or subscription, and a region where that matters."""

    account: str
    region: str = ""


@dataclass(frozen=True, slots=True)
class Touch:
    """One thing a plan would change. `id` is the cloud's own id, read fresh, never a finding's text."""

    kind: str  # account | principal | bucket | organizational-unit | policy | storage-account | ...
    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What one step would do, from reads only.

    `observed` is what the step's effect depends on, and no more: it goes into the digest, and whatever differs
    when the run begins voids the approvals. What changes by itself (last-used dates), or what somebody in the
    account may change without changing the effect (other statements of a policy), is for `shown` and `notes`:
    people see it, and a difference in `shown` is told when the run begins.
    `warnings` decide whether a yes is right: they are shown first, are never cut, and are confirmed as they stood
    when people saw them; that they change afterwards voids nothing.
    `counts` are the blast radius by scope. A `refusal` means that the step must not run at all.
    """

    touches: tuple[Touch, ...] = ()
    observed: Mapping[str, Json] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    refusal: Message | None = None
    notes: tuple[Message, ...] = ()
    warnings: tuple[Message, ...] = ()
    shown: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check's answer, with what was seen. `seen` of a guard goes into the digest; `warnings` are read first.

    A no that is `not_yet` final may be a yes in some minutes: no plan is made on it, and a run waits for it.
    """

    holds: bool
    seen: Mapping[str, Json] = field(default_factory=dict)
    reason: Message | None = None  # why not, when it does not hold
    warnings: tuple[Message, ...] = ()
    not_yet: bool = False


class PlanState(StrEnum):
    """A plan's life; every move is one transaction."""

    PROPOSED = "proposed"  # waiting for keys
    APPROVED = "approved"  # enough keys; a run is owed
    RUNNING = "running"
    ASKING = "asking"  # the run stopped at a step and a person must decide
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    VOIDED = "voided"  # something was different when the run was about to start


@dataclass(frozen=True, slots=True)
class Plan:
    """A runbook for one incident: exactly what two people confirm. The digest is over `confirmed_content`."""

    id: str
    incident_id: str
    runbook_id: str
    runbook_version: str
    runbook_digest: str
    title: str
    provider: str
    target: Target
    risk: Risk
    reversible: str
    params: Mapping[str, Json]
    steps: tuple[Step, ...]
    guards: tuple[CheckCall, ...]
    approval: ApprovalProfile
    observed: Mapping[str, Json]  # step or guard id -> what was seen
    touches: tuple[Touch, ...]
    blast: Mapping[str, int]
    digest: str = ""
    notes: tuple[Message, ...] = ()  # shown, not confirmed
    typed_target: str = ""  # what an approver must type; "" when nothing
    break_glass_allowed: bool = False
    undo_of: str = ""  # the plan id whose effects this one takes back
    requester: str = ""  # person id
    requested_at: datetime | None = None
    expires_at: datetime | None = None
    state: PlanState = PlanState.PROPOSED
    reason: Message | None = None  # why it ended, when it did not run to its end
    break_glass_by: str = ""  # person id, when it ran on one key
    break_glass_reason: str = ""
    confirm_by: datetime | None = None  # a second person owes a confirmation until then
    confirmed_by: str = ""
    provenance: Mapping[str, str] = younger(default_factory=dict)  # parameter -> who gave it, see Provenance
    began: str = younger("")  # when the incident began, as it was known when the plan was made
    shown: Mapping[str, Json] = younger(
        default_factory=dict
    )  # step id -> what was seen beside; not confirmed
    warnings: tuple[Message, ...] = younger(())  # what must be read first: confirmed as it was shown
    why: str = younger("")  # what the proposer wrote: shown, not confirmed
    proposer_code: bool = younger(False)  # proposing it counts only with a code: so since plans say it
    # While it asks; afterwards it can only be stopped.
    asking_until: datetime | None = younger(None)  # noqa: RUF009 (it makes a field)

    @property
    def short(self) -> str:
        """Return the part of the digest that people compare by eye."""
        return self.digest[:12]

    @property
    def writes(self) -> tuple[Step, ...]:
        """Return the steps that change the world."""
        return tuple(step for step in self.steps if step.effect.is_write)


# What people confirm is everything that decides the effects; who asked, when, and display notes are not.
_NOT_CONFIRMED = frozenset(
    [
        "id",
        "digest",
        "notes",
        "requester",
        "requested_at",
        "expires_at",
        "state",
        "reason",
        "break_glass_by",
        "break_glass_reason",
        "confirm_by",
        "confirmed_by",
        "shown",
        "why",
        "proposer_code",
        "asking_until",
    ]
)


def confirmed_content(plan: Plan) -> dict[str, Json]:
    """Return what a key stands for: target, parameters, ordered calls, documents, observed state, blast radius."""
    content = cast("dict[str, Json]", _plain(plan))
    return {name: value for name, value in content.items() if name not in _NOT_CONFIRMED}


def digest_of(plan: Plan) -> str:
    """Return SHA-256 over the RFC 8785 canonical JSON of what is confirmed."""
    return hashlib.sha256(canonical(confirmed_content(plan))).hexdigest()


def canonical(value: object) -> bytes:
    """Return the RFC 8785 canonical JSON of plain data; integers beyond 2**53 must be given as text."""
    return rfc8785.dumps(_plain(value))  # type: ignore[arg-type]


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in written_fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    return value


_REFERENCE = re.compile(r"\$\{\{\s*([A-Za-z0-9_.\-\[\]]+)\s*\}\}")


def references(value: Json) -> tuple[str, ...]:
    """Return every `${{ path }}` in a value, in order."""
    if isinstance(value, str):
        return tuple(_REFERENCE.findall(value))
    if isinstance(value, list):
        return tuple(ref for item in value for ref in references(item))
    if isinstance(value, dict):
        return tuple(ref for item in value.values() for ref in references(item))
    return ()


def resolve(value: Json, scope: Mapping[str, Json], *, later: tuple[str, ...] = ()) -> Json:
    """Replace `${{ path }}` references by the scope's values; a plain reference keeps its type.

    Paths that start with one of `later` stay as they are. Nothing is ever evaluated: a path is only looked up.
    A value that was put in is not looked at again, so text that contains `${{ }}` stays text.
    """
    if isinstance(value, list):
        return [resolve(item, scope, later=later) for item in value]
    if isinstance(value, dict):
        return {key: resolve(item, scope, later=later) for key, item in value.items()}
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return value if whole[1].startswith(later) and later else _look_up(whole[1], scope)

    def put(match: re.Match[str]) -> str:
        if later and match[1].startswith(later):
            return match[0]
        found = _look_up(match[1], scope)
        if isinstance(found, dict | list) or found is None:
            raise Invalid("runbook.reference_not_text", reference=match[1])
        return str(found)

    return _REFERENCE.sub(put, value)


def _look_up(path: str, scope: Mapping[str, Json]) -> Json:
    found: Json = dict(scope)
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            raise Invalid("runbook.reference_unknown", reference=path)
        found = found[part]
    return found
