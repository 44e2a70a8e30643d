"""Sign: a key that is a signature of the person's own device. A link is one person's, once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from twokey.core.approvals import Approval, ApprovalStatus, require_approver
from twokey.core.errors import Refused
from twokey.core.passkeys import LINK_LIVES_S, SIGNED_FIELDS, SigningRequest, link_id
from twokey.core.runbooks import Plan
from twokey.flow.containment.approve import Confirmation, approve_plan
from twokey.flow.containment.showings import show_whole
from twokey.flow.lookup import incident_by_id, plan_by_id
from twokey.flow.planning.planner import Planner
from twokey.flow.refusals import Caller
from twokey.ports import Passkeys, Snapshot, StepUp, Transaction


@dataclass(frozen=True, slots=True)
class Signed:
    """What a page sends back: the target as it was typed, and what the device signed."""

    typed: str
    assertion: Mapping[str, str]


def ask_to_sign(tx: Transaction, plan_id: str, caller: Caller, now: datetime) -> str:
    """Return the secret of a new link, for somebody who could turn a key on this plan now and has a passkey."""
    person, plan = caller.person, plan_by_id(tx, plan_id)
    incident, approvals = incident_by_id(tx, plan.incident_id), tx.find(Approval, plan_id=plan.id)
    require_approver(plan, person, incident, approvals, digest=plan.digest, typed=plan.typed_target, now=now)
    if not person.passkeys:
        raise Refused("refused.no_passkey", person=person.name)
    token = secrets.token_urlsafe(32)
    tx.add(
        SigningRequest(
            link_id(token),
            plan.id,
            person.id,
            plan.digest,
            now + timedelta(seconds=LINK_LIVES_S),
            secrets.token_hex(32),
            caller.account,
        )
    )
    data = {"digest": plan.digest}
    tx.append(caller.actor, "signing.asked", incident_id=plan.incident_id, plan_id=plan.id, data=data)
    return token


def open_request(look: Snapshot, token: str, now: datetime) -> tuple[SigningRequest, Plan]:
    """Return what a link is for, while it is good."""
    request = look.get(SigningRequest, link_id(token))
    if request is None or request.used_at or now >= request.expires_at:
        raise Refused("refused.link_over")
    plan = plan_by_id(look, request.plan_id)
    if plan.digest != request.digest:
        raise Refused("refused.plan_changed", plan=plan.short)
    return request, plan


def show_request(tx: Transaction, request: SigningRequest, plan: Plan, caller: Caller, now: datetime) -> None:
    """Keep that the page of a link is before its person: it shows the plan whole, and is what they sign on."""
    _require_own(request, caller)
    show_whole(tx, plan, caller, _view(request), now)


def sign_plan(
    tx: Transaction,
    planner: Planner,
    step_up: StepUp,
    passkeys: Passkeys,
    token: str,
    caller: Caller,
    given: Signed,
    now: datetime,
) -> ApprovalStatus:
    """Turn the key of a link with what the device signed, and use the link up."""
    request, plan = open_request(tx, token, now)
    _require_own(request, caller)
    tx.put(replace(request, used_at=now))
    assertion = {name: str(given.assertion.get(name, "")) for name in SIGNED_FIELDS} | {
        "nonce": request.nonce
    }
    confirmation = Confirmation(request.digest, given.typed, "", _view(request), assertion)
    return approve_plan(tx, planner, step_up, passkeys, plan.id, caller, confirmation, now)


def _require_own(request: SigningRequest, caller: Caller) -> None:
    if request.person_id != caller.person.id:  # the account is another person's now
        raise Refused("refused.link_over")


def _view(request: SigningRequest) -> str:
    """Name the page of a link as a view; its row names it too, and opens nothing."""
    return f"page:{request.id[:32]}"
