"""Views: modals on a person's stack, and their home page."""

from __future__ import annotations

import secrets
import time

from twokey.demo.slack.limits import check_view
from twokey.demo.slack.methods.calling import method, need, with_ids
from twokey.demo.slack.model import Json, SlackError, Trigger, View, Workspace


def view_json(slack: Workspace, view: View, values: dict[str, dict[str, Json]] | None = None) -> Json:
    """Return the view object of answers and interaction payloads."""
    answer: Json = {
        "id": view.id,
        "team_id": slack.team_id,
        "type": view.body["type"],
        "blocks": view.blocks,
        "private_metadata": view.private_metadata,
        "callback_id": view.callback_id,
        "state": {"values": values or {}},
        "hash": view.hash,
        "title": view.body.get("title"),
        "clear_on_close": bool(view.body.get("clear_on_close")),
        "notify_on_close": bool(view.body.get("notify_on_close")),
        "close": view.body.get("close"),
        "submit": view.body.get("submit"),
        "previous_view_id": view.previous_id,
        "root_view_id": view.root_id,
        "app_id": slack.app_id,
        "external_id": view.body.get("external_id") or "",
        "app_installed_team_id": slack.team_id,
        "bot_id": slack.bot_id,
    }
    return answer


def new_hash() -> str:
    """Return the mark of one state of a view."""
    return f"{int(time.time())}.{secrets.token_hex(4)}"


def show_view(slack: Workspace, user: str, body: Json, *, on_top: bool) -> View:
    """Put a modal before this person: in place of all, or on top of the stack."""
    check_view(body)
    external = body.get("external_id")
    if external and any(v.body.get("external_id") == external and v.is_open for v in slack.views.values()):
        raise SlackError("duplicate_external_id")
    stack = slack.stacks.setdefault(user, [])
    if on_top and len(stack) >= 3:
        raise SlackError("push_limit_reached")
    if not on_top:
        close_views(slack, user)
        stack = slack.stacks.setdefault(user, [])
    view_id = slack.next_id("V")
    view = View(
        id=view_id,
        user=user,
        body={**body, "blocks": with_ids(body["blocks"])},
        hash=new_hash(),
        root_id=stack[0] if stack else view_id,
        previous_id=stack[-1] if stack else None,
    )
    slack.views[view_id] = view
    stack.append(view_id)
    return view


def close_views(slack: Workspace, user: str) -> None:
    """Close every modal of this person."""
    for view_id in slack.stacks.pop(user, []):
        slack.views[view_id].is_open = False


def change_view(view: View, body: Json) -> None:
    """Put other content into an open modal."""
    check_view(body)
    view.history.append(view.body)
    view.body = {**body, "blocks": with_ids(body["blocks"])}
    view.hash = new_hash()
    view.errors = {}


def _trigger(slack: Workspace, args: Json) -> Trigger:
    check_view(args.get("view"))
    return slack.use_trigger(need(args, "trigger_id", "invalid_arguments"))


@method("views.open")
def open_view(slack: Workspace, args: Json) -> Json:
    trigger = _trigger(slack, args)
    return {"view": view_json(slack, show_view(slack, trigger.user, args["view"], on_top=False))}


@method("views.push")
def push_view(slack: Workspace, args: Json) -> Json:
    trigger = _trigger(slack, args)
    if not slack.stacks.get(trigger.user):
        raise SlackError("not_found")
    return {"view": view_json(slack, show_view(slack, trigger.user, args["view"], on_top=True))}


@method("views.update")
def update_view(slack: Workspace, args: Json) -> Json:
    view = _find_view(slack, args)
    if args.get("hash") and args["hash"] != view.hash:
        raise SlackError("hash_conflict")
    change_view(view, args.get("view") or {})
    return {"view": view_json(slack, view)}


def _find_view(slack: Workspace, args: Json) -> View:
    wanted = args.get("view_id") or args.get("external_id")
    if not wanted:
        raise SlackError("invalid_arguments", "either `view_id` or `external_id` must be given")
    for view in slack.views.values():
        if wanted in (view.id, view.body.get("external_id")) and view.is_open:
            return view
    raise SlackError("not_found")


@method("views.publish")
def publish_view(slack: Workspace, args: Json) -> Json:
    user, body = need(args, "user_id"), args.get("view")
    check_view(body)
    if user not in slack.members:
        raise SlackError("user_not_found")
    old = slack.homes.get(user)
    if args.get("hash") and old is not None and args["hash"] != old.hash:
        raise SlackError("hash_conflict")
    view_id = old.id if old else slack.next_id("V")
    blocks = with_ids((body or {})["blocks"])
    view = View(view_id, user, {**(body or {}), "blocks": blocks}, new_hash(), view_id)
    slack.homes[user] = slack.views[view_id] = view
    return {"view": view_json(slack, view)}
