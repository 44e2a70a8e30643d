"""A small bot on real Bolt, for the fake Slack's own tests."""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from twokey.demo.slack import FakeSlack

CARD: list[dict[str, Any]] = [
    {
        "type": "header",
        "text": {"type": "plain_text", "text": "SEV2 · INC-12 · Key deleted buckets"},
    },
    {
        "type": "section",
        "text": {"type": "mrkdwn", "text": "*Ours*: key `AKIA1` was used by <@U1>"},
    },
    {
        "type": "actions",
        "block_id": "buttons",
        "elements": [
            {
                "type": "button",
                "action_id": "contain",
                "value": "INC-12",
                "text": {"type": "plain_text", "text": "Contain…"},
            },
            {
                "type": "overflow",
                "action_id": "more",
                "options": [
                    {"text": {"type": "plain_text", "text": "Ack"}, "value": "ack"},
                    {"text": {"type": "plain_text", "text": "Close"}, "value": "close"},
                ],
            },
        ],
    },
]


def modal(**changes: Any) -> dict[str, Any]:
    """Return a modal that asks for the account id."""
    return {
        "type": "modal",
        "callback_id": "confirm",
        "private_metadata": "plan-1",
        "notify_on_close": True,
        "title": {"type": "plain_text", "text": "Review plan"},
        "submit": {"type": "plain_text", "text": "Turn my key"},
        "close": {"type": "plain_text", "text": "Cancel"},
        "blocks": [
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": "Deactivates *one* key"},
            },
            {
                "type": "input",
                "block_id": "account",
                "label": {"type": "plain_text", "text": "Type the account id"},
                "element": {"type": "plain_text_input", "action_id": "typed"},
            },
        ],
    } | changes


class Bot:
    """A bot with one command, one button, one modal and one mention; it notes what it heard."""

    def __init__(self, slack: FakeSlack, client: AsyncWebClient | None = None) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.errors: list[str] = []
        self.client = client or AsyncWebClient(slack.bot_token, base_url=slack.api_url)
        self.app = AsyncApp(client=self.client, signing_secret=slack.signing_secret)
        self.app.command("/twokey")(self.command)
        self.app.action("contain")(self.contain)
        self.app.action("more")(self.more)
        self.app.view("confirm")(self.confirm)
        self.app.view_closed("confirm")(self.closed)
        self.app.event("app_mention")(self.mentioned)
        self.app.shortcut("add_to_timeline")(self.added)

    async def command(self, ack: Any, body: dict[str, Any], client: AsyncWebClient, respond: Any) -> None:
        self.heard.append(("command", body))
        if body["text"] == "declare":
            await ack()
            await client.chat_postMessage(channel=body["channel_id"], text="INC-12", blocks=CARD)
        elif body["text"] == "respond":
            await ack()
            await respond("later, privately")
        else:
            await ack(text=f"you said {body['text']}")

    async def contain(self, ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        self.heard.append(("contain", body))
        await ack()
        try:
            await client.views_open(trigger_id=body["trigger_id"], view=modal())
        except SlackApiError as error:
            self.errors.append(error.response["error"])

    async def more(self, ack: Any, body: dict[str, Any]) -> None:
        self.heard.append(("more", body))
        await ack()

    async def confirm(self, ack: Any, body: dict[str, Any], view: dict[str, Any]) -> None:
        self.heard.append(("confirm", body))
        typed = view["state"]["values"]["account"]["typed"]["value"]
        if typed == "again":
            changed = modal(title={"type": "plain_text", "text": "Changed"})
            await ack(response_action="update", view=changed)
        elif typed != "111122223333":
            await ack(
                response_action="errors",
                errors={"account": "That is not this account."},
            )
        else:
            await ack()

    async def closed(self, ack: Any, body: dict[str, Any]) -> None:
        self.heard.append(("closed", body))
        await ack()

    async def mentioned(self, event: dict[str, Any], say: Any) -> None:
        self.heard.append(("mention", event))
        await say(
            text=f"hello <@{event['user']}>",
            thread_ts=event.get("thread_ts") or event["ts"],
        )

    async def added(self, ack: Any, body: dict[str, Any]) -> None:
        self.heard.append(("added", body))
        await ack()

    def count(self, what: str) -> int:
        """Count how often it heard this."""
        return sum(1 for kind, _ in self.heard if kind == what)
