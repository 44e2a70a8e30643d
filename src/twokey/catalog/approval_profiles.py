"""What each risk asks of people, and the rule that a runbook may only ask for more."""

from __future__ import annotations

from dataclasses import replace

from twokey.catalog.references import ReferenceScope, check_references, whole
from twokey.catalog.schema import Part, shown
from twokey.core.approvals import CRITICAL_EXPIRES_S, OTHER_EXPIRES_S
from twokey.core.runbooks import ApprovalProfile, Risk

# The typed target needs no entry: core/approvals.py asks for it whenever the risk is high or critical.
PROFILES = {
    Risk.LOW: ApprovalProfile(expires_in_s=OTHER_EXPIRES_S),
    Risk.MEDIUM: ApprovalProfile(expires_in_s=OTHER_EXPIRES_S),
    Risk.HIGH: ApprovalProfile(expires_in_s=OTHER_EXPIRES_S, step_up="totp"),
    Risk.CRITICAL: ApprovalProfile(
        requester_may_approve=False, expires_in_s=CRITICAL_EXPIRES_S, step_up="totp"
    ),
}
_ORDER = tuple(Risk)
_STEP_UPS = ("none", "totp", "passkey")  # each asks for more than the one before
_KEYS = "profile min_approvals requester_may_approve expires_in typed_confirmation step_up"


def read_approval(part: Part | None, risk: Risk, scope: ReferenceScope) -> ApprovalProfile:
    """Return what the risk asks for, tightened by the runbook; note every line that would loosen it."""
    if part is None:
        return PROFILES[risk]
    found = part.fields(optional=_KEYS)
    profile = PROFILES[risk]
    if "profile" in found:
        named = found["profile"].one_of(Risk)
        if _ORDER.index(named) < _ORDER.index(risk):
            _looser(found["profile"], named.value, risk)
        else:
            profile = PROFILES[named]
    return _tightened(profile, found, risk, scope)


def _tightened(
    profile: ApprovalProfile, found: dict[str, Part], risk: Risk, scope: ReferenceScope
) -> ApprovalProfile:
    if "min_approvals" in found:
        count = found["min_approvals"].integer(0, 9)
        if count < profile.min_approvals:
            _looser(found["min_approvals"], str(count), risk)
        profile = replace(profile, min_approvals=max(count, profile.min_approvals))
    if "requester_may_approve" in found:
        allowed = found["requester_may_approve"].boolean()
        if allowed and not profile.requester_may_approve:
            _looser(found["requester_may_approve"], "true", risk)
        profile = replace(profile, requester_may_approve=allowed and profile.requester_may_approve)
    if "expires_in" in found:
        seconds = found["expires_in"].duration()
        if seconds > profile.expires_in_s:
            _looser(found["expires_in"], shown(found["expires_in"].value), risk)
        profile = replace(profile, expires_in_s=min(seconds, profile.expires_in_s) or profile.expires_in_s)
    if "step_up" in found:
        word = found["step_up"].choice(*_STEP_UPS)
        if _STEP_UPS.index(word) < _STEP_UPS.index(profile.step_up or "none"):
            _looser(found["step_up"], word, risk)
        elif word != "none":
            profile = replace(profile, step_up=word)
    if "typed_confirmation" in found:
        part = found["typed_confirmation"]
        if isinstance(part.value, dict):
            part = part.fields(required="approver").get("approver", part)
        text = part.text()
        check_references(part, scope.fixed())
        # The approver types the target: a constant can be typed without looking.
        if text and not whole(text.removeprefix("last4:")).startswith("params."):
            part.fault("runbook.typed_not_target", value=shown(text))
        profile = replace(profile, typed_confirmation=text)
    return profile


def _looser(part: Part, value: str, risk: Risk) -> None:
    part.fault("runbook.approval_looser", value=value, risk=risk.value)
