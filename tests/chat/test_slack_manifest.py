"""What Slack is told, and the ids that live as long as the messages that hold them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twokey.chat.slack.inbound import commands
from twokey.chat.slack.inbound.listeners import FORMS, buttons
from twokey.chat.slack.manifest import BUILT_IN, SCOPES, checked_command, manifest
from twokey.chat.slack.views.text import Words
from twokey.core.errors import Invalid
from twokey.words import word

ROOT = Path(__file__).resolve().parents[2]
BUTTONS = buttons()
VERBS = {verb.name: verb.usage for verb in commands.VERBS.values()}
ALIASES = [alias for verb in commands.VERBS.values() for alias in verb.aliases]
SOURCES = sorted((ROOT / "src/twokey/chat").rglob("*.py"))

# Never take one away or rename it: a button in an old message would do nothing without a word.
PINNED_ACTIONS = [
    "decision_confirm",
    "details_page_back",
    "details_page_next",
    "glass_details",
    "glass_open",
    "glass_page_back",
    "glass_page_next",
    "incident_acknowledge",
    "incident_command",
    "incident_contain",
    "incident_more",
    "list_next",
    "list_previous",
    "menu_mine",
    "menu_open",
    "menu_pending",
    "passkey_open",
    "pick_ack",
    "pick_audit",
    "pick_cancel",
    "pick_classify",
    "pick_contain",
    "pick_note",
    "pick_postmortem",
    "pick_resolve",
    "pick_role",
    "pick_severity",
    "pick_show",
    "pick_status",
    "pick_undo",
    "plan_confirm",
    "plan_details",
    "plan_page_back",
    "plan_page_next",
    "plan_reject",
    "plan_review",
    "plan_undo",
    "plan_withdraw",
    "preview_details",
    "preview_page_back",
    "preview_page_next",
    "run_retry",
    "run_skip",
    "run_stop",
    "stop_resume",
]
PINNED_FORMS = [
    "contain_choose",
    "contain_params",
    "contain_propose",
    "decision_confirm",
    "glass_break",
    "incident_note",
    "incident_role",
    "incident_severity",
    "incident_status",
    "plan_approve",
    "plan_reject",
    "run_confirm",
    "run_skip",
    "stop_resume",
    "told",
    "wait",
]


def test_ids_in_old_messages_are_still_known() -> None:
    assert sorted(BUTTONS) == PINNED_ACTIONS
    assert sorted(FORMS) == PINNED_FORMS


def test_every_button_that_is_drawn_is_listened_to() -> None:
    source = "".join(path.read_text() for path in SOURCES)
    drawn = set(re.findall(r'"((?:incident|plan|run|glass|list|menu)_[a-z]+)"', source))
    assert drawn <= set(BUTTONS) | set(FORMS)


def test_the_manifest_in_deploy_is_the_one_of_the_code() -> None:
    kept = json.loads((ROOT / "deploy/slack/manifest.json").read_text())
    assert kept == manifest(), "run: twokey slack manifest > deploy/slack/manifest.json"


def test_the_scopes_are_the_ones_that_the_methods_need() -> None:
    assert SCOPES == (
        "app_mentions:read",
        "channels:read",
        "chat:write",
        "commands",
        "files:write",
        "groups:read",
        "users:read",
    )
    source = "".join(path.read_text() for path in SOURCES)
    called = set(
        re.findall(r"client\.((?:chat|views|users|conversations|auth|reactions|files)_[A-Za-z_]+)", source)
    )
    assert called <= {
        "chat_postMessage",
        "chat_postEphemeral",
        "chat_update",
        "files_completeUploadExternal",
        "files_getUploadURLExternal",
        "users_info",
        "conversations_info",
        "views_open",
        "views_push",
        "views_update",
    }


def test_over_http_every_door_has_its_address() -> None:
    made = manifest("/inc", http="https://bot.example.com/slack/events")
    assert made["settings"]["socket_mode_enabled"] is False
    assert made["features"]["slash_commands"][0]["url"] == "https://bot.example.com/slack/events"
    assert made["settings"]["event_subscriptions"]["request_url"] == "https://bot.example.com/slack/events"


@pytest.mark.parametrize("name", [*sorted(BUILT_IN)[:5], "twokey", "/Two Key", "/" + "x" * 32, "/日本"])
def test_a_name_that_slack_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(Invalid):
        checked_command(name)


def test_the_command_line_prints_it() -> None:
    from twokey.cli.slack import app

    done = CliRunner().invoke(app, ["manifest", "--command", "/incident-bot"])
    assert done.exit_code == 0
    assert json.loads(done.output)["features"]["slash_commands"][0]["command"] == "/incident-bot"


def test_the_command_line_imports_nothing_of_slack_before_it_must() -> None:
    check = "import sys, twokey.cli.slack; sys.exit('slack_bolt' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_the_reference_names_every_verb_and_alias() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()
    for usage in VERBS.values():
        assert usage in page
    for alias in ALIASES:
        assert f"`{alias}`" in page


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_code_of_the_chat_has_words(language: str) -> None:
    source = "".join(path.read_text() for path in SOURCES)
    codes = set(re.findall(r'"((?:chat|slack)\.[a-z_A-Z0-9.]+[a-z_A-Z0-9])"', source))
    assert len(codes) > 120
    assert [code for code in sorted(codes) if word(code, language) == code and code not in PREFIXES] == []


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_value_that_is_stored_has_words(language: str) -> None:
    from twokey.core.incidents import CANCEL_REASONS, Severity, State
    from twokey.core.people import Role
    from twokey.core.responsibility import Confidence, Label
    from twokey.core.runbooks import Effect, PlanState, Risk

    named: dict[str, object] = {
        "label": Label,
        "state": State,
        "severity": Severity,
        "confidence": Confidence,
        "plan_state": PlanState,
        "risk": Risk,
        "effect": Effect,
        "person_role": Role,
        "cancel": CANCEL_REASONS,
    }
    for prefix, values in named.items():
        for value in values:  # type: ignore[attr-defined]
            assert Words(language).has(f"chat.{prefix}.{getattr(value, 'value', value)}"), value
    for state in PlanState:
        assert Words(language).has(f"refused.plan_{state.value}")


PREFIXES = {"chat.effect", "chat.state", "chat.cancel", "chat.role", "chat.label", "chat.plan_state"}
