"""What an error of Slack's means for the next try."""

from __future__ import annotations

from typing import Any

from slack_sdk.errors import SlackApiError

from twokey.chat.delivery.port import CallOutcome

# The channel is gone or closed: another one may do.
CHANNEL_ERRORS = frozenset(
    {"channel_not_found", "is_archived", "not_in_channel", "channel_is_archived", "restricted_action"}
)
# Nothing we send will be taken before somebody repairs the installation.
INSTALLATION_ERRORS = frozenset(
    {"token_revoked", "token_expired", "invalid_auth", "not_authed", "account_inactive", "missing_scope",
     "team_access_not_granted", "no_permission", "org_login_required", "ekm_access_denied"}
)  # fmt: skip
SHAPE_ERRORS = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "invalid_arguments"}
)
# The message under or over which we write has been deleted.
GONE_ERRORS = frozenset({"message_not_found", "thread_not_found"})
PASSING_ERRORS = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "internal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
    }
)
_NOT_FINAL = PASSING_ERRORS | INSTALLATION_ERRORS | CHANNEL_ERRORS
MAYBE_DONE_ERRORS = frozenset({"fatal_error"})  # Slack: "some aspect of the operation may have succeeded"


def outcome_of(error: SlackApiError) -> CallOutcome:
    """Translate an error that Slack answered with."""
    response: Any = error.response
    status = int(getattr(response, "status_code", 200) or 200)
    try:
        code = str(response.get("error") or f"http_{status}")
    except (ValueError, AttributeError):  # a page instead of JSON
        code = f"http_{status}"
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return CallOutcome(error="ratelimited", retry_after=retry_after(getattr(response, "headers", None)))
    if code in MAYBE_DONE_ERRORS:
        return CallOutcome(error=code, may_be_done=True)
    return CallOutcome(
        error=code,
        # Somebody will repair a token, a right or a channel: what is owed waits for that, and keeps its order.
        is_final=status < 500 and code not in _NOT_FINAL,
        is_gone=code in GONE_ERRORS,
        is_channel_closed=code in CHANNEL_ERRORS,
        is_misconfigured=code in INSTALLATION_ERRORS,
    )


def retry_after(headers: Any) -> float:
    """Return the seconds Slack asks for; without a readable number, one."""
    for name, value in dict(headers or {}).items():
        if str(name).lower() == "retry-after":
            text = str(value[0] if isinstance(value, list) else value)
            return min(float(text), 3600.0) if text.isascii() and text.isdigit() and len(text) < 7 else 1.0
    return 1.0
