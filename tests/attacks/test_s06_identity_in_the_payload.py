"""S6: nobody is who a payload says. No address of the program takes an identity but Slack's signed one."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.lab.installation import DOOR_SECRET, Installation
from tests.lab.trials import Proof
from twokey.core.approvals import Approval
from twokey.core.runbooks import Plan
from twokey.demo.company import SHOP

from .addresses import METHODS, Address, addresses
from .doors import FORM, Headers, all_served, ask, keys, signed

# Names that such programs give to their internal doors; none of them is one here.
GUESSES = (
    *(
        "/",
        "/api",
        "/api/approve",
        "/api/v1/approvals",
        "/api/v1/plans/{plan}/approve",
        "/approve/{plan}",
        "/internal",
    ),
    *(
        "/internal/approve",
        "/plans/{plan}",
        "/plans/{plan}/approve?user_id=U0BEN",
        "/slack",
        "/slack/actions",
    ),
    *("/slack/interactive", "/slack/commands", "/slack/oauth_redirect", "/slack/install", "/admin", "/debug"),
    *(
        "/docs",
        "/openapi.json",
        "/metrics",
        "/graphql",
        "/incidents",
        "/webhook",
        "/azure",
        "/azure/",
        "/aws",
        "/.env",
    ),
    *(
        "/slack/events/",
        "//slack/events",
        "/slack/events/../events",
        "/SLACK/EVENTS",
        "/slack%2fevents",
        "/healthz/x",
    ),
)


@pytest.fixture(scope="module")
def waiting(shared: Installation) -> Any:
    """A plan that one key of Ben's would start."""
    card = shared.propose(buckets="shop-orders")
    plan_id = shared.plan_id(card)
    with shared.record.read() as look:
        plan = look.get(Plan, plan_id)
    return card, plan


def forged(world: Installation, plan: Plan) -> list[tuple[str, bytes]]:
    """Return bodies that say: I am Ben, and this is my key; in every form that a careless door would take."""
    ben, code, team = world.ben, "000000", world.slack.team_id
    modal = {
        "type": "view_submission",
        "team": {"id": team, "domain": "fake"},
        "user": {"id": ben.id, "name": "ben", "team_id": team},
        "trigger_id": f"{time.time()}.1",
        "view": {
            "id": "V1",
            "hash": "1",
            "callback_id": "plan_approve",
            "private_metadata": json.dumps(
                {"plan": plan.id, "digest": plan.digest, "channel": world.security.id}
            ),
            "state": {
                "values": {
                    "typed": {"typed": {"type": "plain_text_input", "value": SHOP}},
                    "code": {"code": {"type": "plain_text_input", "value": code}},
                    "checked": {"checked": {"type": "checkboxes", "selected_options": [{"value": "yes"}]}},
                }
            },
        },
    }
    plain = {
        "user_id": ben.id,
        "user": ben.id,
        "person_id": "p-ben",
        "actor": "p-ben",
        "approver": "p-ben",
        "team_id": team,
        "channel_id": world.security.id,
        "plan_id": plan.id,
        "digest": plan.digest,
        "typed": SHOP,
        "code": code,
        "role": "approver",
        "decision": "approve",
    }
    command = plain | {"command": "/twokey", "text": f"approve {plan.id}", "trigger_id": "1"}
    mention = {
        "type": "event_callback",
        "team_id": team,
        "event_id": "Ev1",
        "event": {
            "type": "app_mention",
            "user": ben.id,
            "text": "<@U0BOT> ack INC-1",
            "channel": world.security.id,
        },
    }
    envelope = {"envelope_id": "1", "type": "interactive", "payload": modal, "accepts_response_payload": True}
    documents: list[Any] = [
        modal,
        plain,
        command,
        mention,
        envelope,
        {"payload": modal},
        [plain],
        json.dumps(modal),
    ]
    bodies = [("application/json", json.dumps(document).encode()) for document in documents]
    bodies += [
        (FORM, urlencode({"payload": json.dumps(document)}).encode()) for document in (modal, envelope)
    ]
    bodies += [(FORM, urlencode(document).encode()) for document in (plain, command)]
    boundary = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in plain.items()
    )
    bodies.append(("multipart/form-data; boundary=b", (boundary + "--b--\r\n").encode()))
    return bodies


def claims(world: Installation) -> Headers:
    """Return headers by which a proxy, or somebody who plays one, says who is behind a request."""
    return [
        ("X-Forwarded-User", "p-ben"),
        ("X-Remote-User", "ben"),
        ("X-User-Id", world.ben.id),
        ("X-Slack-User-Id", world.ben.id),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Original-Url", "/slack/events"),
        ("X-Http-Method-Override", "POST"),
        ("Cookie", "user=p-ben; session=1"),
        ("Authorization", "Bearer " + world.slack.bot_token),
        ("X-Api-Key", f"{DOOR_SECRET}-4"),
    ]


def everywhere(world: Installation, plan: Plan) -> list[tuple[str, str]]:
    """Return (method, path) of every address the program has, with its real secrets, and of those it has not."""
    known = [
        (method, address.filled(secret))
        for address in addresses(world)
        for method in METHODS
        for secret in _secrets()
    ]
    return [*dict.fromkeys(known), *(("POST", path.format(plan=plan.id)) for path in GUESSES)]


def _secrets() -> tuple[str, ...]:
    return *(
        f"{DOOR_SECRET}{number}" for number in ("", "-2", "-3")
    ), "not-a-secret-of-any-door-00000000000000"


def test_s06_no_address_takes_an_identity_from_a_payload(
    shared: Installation, waiting: Any, proof: Proof
) -> None:
    world, (_, plan) = shared, waiting
    bot, before = world.bots[0], world.find(Approval)
    asked = [(where, body) for where in everywhere(world, plan) for body in forged(world, plan)]
    trials = proof(
        "S6", "a forged payload at any address of the program turns no key", ci=400, release=len(asked)
    )
    picked = list(range(len(asked)))
    for random in trials:
        if trials.done == 0:
            random.shuffle(picked)
        (method, path), (kind, body) = asked[picked[trials.done]]
        headers: Headers = [("Content-Type", kind), *random.sample(claims(world), 4)]
        status = ask(bot, path, headers, body, method).status
        assert status < 500, (method, path, status)
        trials.outcome(f"{status}")
    trials.outcomes["keys"] = len(world.find(Approval)) - len(before)
    assert world.find(Approval) == before
    assert world.state(plan.id) == "proposed"
    # Not even heard: who acts is on record under their account only when Slack has signed it.
    assert not [
        e
        for e in world.audit()
        if e.action == "heard" and e.actor.account and e.actor.account.user == "U0BEN"
    ]


def test_s06_every_address_is_known_and_only_one_takes_people(shared: Installation, proof: Proof) -> None:
    """A new address has to be looked at: who comes through it, and how it knows."""
    found = {address.path for address in addresses(shared)}
    assert "/slack/events" in found
    kinds = {path.split("/")[1] for path in found}
    assert kinds <= {"slack", "azure", "aws", "healthz", "readyz"}, found
    assert [path for path in found if path.startswith("/slack")] == ["/slack/events"]
    trials = proof("S6", "every address of the program is asked with every method", ci=1)
    for _ in trials:
        for address in addresses(shared):
            for method in METHODS:
                status = ask(shared.bots[0], address.filled("x" * 40), [], b"", method).status
                assert status in (200, 401, 404, 405), (method, address, status)
                assert (status != 405) or method not in address.methods
                trials.outcome(str(status))


def test_s06_what_slack_signs_says_who_and_what_it_adds_is_asked_of_slack(
    shared: Installation, waiting: Any, proof: Proof
) -> None:
    """Signed, but by a hand that has the signing secret and no account: Slack is asked who that is, and says."""
    world, (_, plan) = shared, waiting
    trials = proof("S6", "a signed payload that claims more than Slack itself says turns no key", ci=1)
    (kind, modal), *_ = forged(world, plan)
    said = json.loads(modal)
    lies: dict[str, Any] = {
        "an account that Slack does not know": {"id": "U0NOBODY", "team_id": world.slack.team_id},
        "an account of another workspace": {"id": world.ben.id, "team_id": "T0OTHER01"},
        "a name instead of an account": {"id": "p-ben", "name": "ben", "team_id": world.slack.team_id},
        "no account": {},
        "a guest who says he is none": {
            "id": world.gus.id,
            "team_id": world.slack.team_id,
            "is_restricted": False,
        },
        "a bot": {"id": world.rob.id, "team_id": world.slack.team_id},
        "the bot itself": {"id": world.slack.bot_user_id, "team_id": world.slack.team_id},
    }
    for _ in trials:
        for number, (name, user) in enumerate(lies.items()):
            lie = said | {"user": user, "trigger_id": f"lie.{number}.{time.time()}"}
            body = urlencode({"payload": json.dumps(lie)}).encode()
            status = ask(
                world.bots[0], "/slack/events", signed(world.slack.signing_secret, body), body
            ).status
            assert status < 500, name
            trials.outcome("refused")
        foreign = said | {"team": {"id": "T0OTHER01"}, "trigger_id": f"foreign.{time.time()}"}
        body = urlencode({"payload": json.dumps(foreign)}).encode()
        assert (
            ask(world.bots[0], "/slack/events", signed(world.slack.signing_secret, body), body).status < 500
        )
        trials.outcome("refused")
    assert kind
    world.until(lambda: all_served(world))
    assert keys(world, plan.id) == ["p-ana"]
    assert world.state(plan.id) == "proposed"
    assert isinstance(addresses(world)[0], Address)
