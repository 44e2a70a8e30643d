"""Who is who: the app, the workspace, its members and groups."""

from __future__ import annotations

from twokey.demo.slack.methods.calling import method, need, truthy
from twokey.demo.slack.model import Json, SlackError, Workspace


@method("api.test")
def api_test(slack: Workspace, args: Json) -> Json:
    if args.get("error"):
        raise SlackError(str(args["error"]))
    return {"args": args}


@method("auth.test")
def auth_test(slack: Workspace, args: Json) -> Json:
    return {
        "url": f"https://{slack.team_domain}.slack.com/",
        "team": slack.team_domain,
        "user": slack.bot_name,
        "team_id": slack.team_id,
        "user_id": slack.bot_user_id,
        "bot_id": slack.bot_id,
        "is_enterprise_install": False,
    }


@method("team.info")
def team_info(slack: Workspace, args: Json) -> Json:
    return {
        "team": {
            "id": slack.team_id,
            "name": slack.team_domain,
            "domain": slack.team_domain,
        }
    }


@method("bots.info")
def bots_info(slack: Workspace, args: Json) -> Json:
    if args.get("bot") != slack.bot_id:
        raise SlackError("bot_not_found")
    return {
        "bot": {
            "id": slack.bot_id,
            "deleted": False,
            "name": slack.bot_name,
            "app_id": slack.app_id,
            "user_id": slack.bot_user_id,
            "icons": {},
        }
    }


@method("users.info")
def users_info(slack: Workspace, args: Json) -> Json:
    member = slack.members.get(need(args, "user", "user_not_found"))
    if member is None:
        raise SlackError("user_not_found")
    return {"user": member.to_json(include_locale=truthy(args.get("include_locale")))}


@method("users.lookupByEmail")
def users_lookup(slack: Workspace, args: Json) -> Json:
    email = need(args, "email", "users_not_found").lower()
    for member in slack.members.values():
        if member.email.lower() == email and not member.deleted:
            return {"user": member.to_json()}
    raise SlackError("users_not_found")


@method("usergroups.users.list")
def group_users(slack: Workspace, args: Json) -> Json:
    group = slack.groups.get(need(args, "usergroup", "no_such_subteam"))
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": list(group[1])}
