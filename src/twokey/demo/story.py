"""The demo's story: an attack, two keys, a containment, a crash in the middle, and a post-mortem."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from twokey.demo import notifications
from twokey.demo.bot import Bot
from twokey.demo.company import BUCKETS, EXTERNAL_ID, REGION, ROLE, SHOP, Company
from twokey.demo.proxy import Call, CloudProxy
from twokey.demo.slack import Channel, Delivery, FakeSlack, Message, Person, View
from twokey.demo.telling import Teller
from twokey.testing.codes import Authenticator

DOOR = f"demo={secrets.token_urlsafe(32)}"
WAIT = 40.0
NOTHING: Mapping[str, str] = {}
T = TypeVar("T")
_AUDIT = re.compile(r"(?:audit|監査)\D{0,12}(\d+)\D{1,6}([0-9a-f]{24})")


@dataclass
class Observed:
    """What was seen in this run; nothing here is set by hand."""

    incidents: list[dict[str, str]] = field(default_factory=list)
    keys: int = 0
    self_second_key_refused: bool = False
    attacker_refused_after_containment: bool = False
    root_refused: bool = False
    resumed_after_kill: bool = False
    audit_intact: bool = False
    postmortem: str = ""


class Story:
    """Everybody and everything in the demo. Chapters are methods, told in the order of `tell`."""

    def __init__(
        self, folder: Path, company: Company, proxy: CloudProxy, slack: FakeSlack, teller: Teller
    ) -> None:
        self.folder, self.company, self.proxy, self.slack, self.teller = folder, company, proxy, slack, teller
        self.seen = Observed()
        self.ana = slack.add_user("ana", user_id="U0ANA", email="ana@shop.example")
        self.ben = slack.add_user("ben", user_id="U0BEN", email="ben@shop.example")
        self.channel = slack.add_channel("incidents", members=[self.ana, self.ben])
        self.security = slack.add_channel("security-incidents", is_private=True, members=[self.ana, self.ben])
        self.authenticator, self.anas = Authenticator(), Authenticator()
        self.has_shown_review = False
        self.bot = Bot(folder, self._variables())

    def tell(self, language: str) -> Observed:
        """Tell all of it."""
        if language != "en":
            self.bot.variables = {**self.bot.variables, "TWOKEY_LANGUAGE": language}
            roster = self.folder / "roster.yaml"
            roster.write_text(
                roster.read_text().replace("    roles:", f"    language: {language}\n    roles:")
            )
        self.bot.start()
        self.slack.wait_connected(timeout=WAIT)
        self.the_attack()
        self.the_incident()
        self.the_first_key()
        self.the_second_key()
        self.the_crash()
        self.the_buckets()
        self.the_maintenance()
        self.the_root()
        self.the_review()
        self.the_proof()
        return self.seen

    def the_attack(self) -> None:
        """Somebody has the key of the deploy user."""
        self.teller.chapter("The attack")
        self.teller.say(
            f"A stolen access key ({self._last4()}) of the user deploy-bot is used in account {SHOP}."
        )
        for bucket in BUCKETS[:3]:
            gone = self.company.attacker_deletes(bucket)
            self.teller.harm(f"the attacker deletes the bucket {bucket}: {'done' if gone else 'refused'}")

    def the_incident(self) -> None:
        """A burst of findings arrives, with duplicates; it becomes one incident."""
        self.teller.chapter("One incident, seconds later")
        burst = notifications.findings(self.company.key_id, list(BUCKETS[:3]), datetime.now(UTC))
        self.company.notify(burst)
        self.teller.say(f"GuardDuty's findings arrive by SQS: {len(burst)} messages, some of them twice.")
        self._card("INC-1")
        distinct = len(set(burst))
        self._wait(
            lambda: any(row["id"] == "INC-1" and row["signals"] == distinct for row in self._incidents())
        )
        self._wait(lambda: str(distinct) in self.slack.show(self._card("INC-1")))
        self.teller.slack("#security-incidents", self._shown(self._card("INC-1")))
        self.teller.fact(f"{len(burst)} messages, {distinct} distinct: one incident, on our own side")
        self.ana.click(self._card("INC-1"), "incident_acknowledge")
        self.ben.click(self._card("INC-1"), "incident_command")
        self._wait(lambda: any("ben" in self.slack.show(m).lower() for m in self._thread("INC-1")))

    def the_first_key(self) -> None:
        """The engineer proposes; the preview is read from the cloud, and confirming it is the first key."""
        self.teller.chapter("The first key")
        plan_card = self._propose(
            "INC-1",
            "aws.disable-leaked-access-key",
            "the pipeline signs without it since May: nobody needs it",
        )
        self.teller.slack("in the thread, after Ana confirmed the preview", self._shown(plan_card))
        self.teller.say("Ana tries to turn the second key as well.")
        refusal = self._refused_key(self.ana, plan_card, self._last4())
        self.seen.self_second_key_refused = bool(refusal) and self.company.key_status() == "Active"
        self.teller.slack("only Ana sees this", refusal)
        self.teller.fact("her own second key is refused", self.seen.self_second_key_refused)

    def the_second_key(self) -> None:
        """The commander types the wrong target, then the right one; the bot will be killed in the middle."""
        self.teller.chapter("The second key")
        plan_card = self._plan_cards("INC-1")[-1]
        wrong = self._refused_key(self.ben, plan_card, "0000")
        self.teller.slack("Ben types 0000; the modal says", wrong)
        self.teller.fact("a wrong target turns no key", self.company.key_status() == "Active")
        self.proxy.after.append(self._kill_once)
        self.teller.say(f"Ben types {self._last4()}, the last four characters of the key.")
        self._approve(self.ben, plan_card, self._last4())

    def the_crash(self) -> None:
        """The bot dies right after AWS did what it was told, before the answer came."""
        self.teller.chapter("kill -9 in the middle")
        self._wait(lambda: not self.bot.is_running)
        self.teller.say(
            "The bot is killed when the key has just been deactivated and the answer is on its way."
        )
        self.bot.start()
        self.slack.wait_connected(timeout=WAIT)
        self._plan_ends("INC-1", 1)
        calls = [call for call in self.proxy.operations("UpdateAccessKey") if call.status == 200]
        resumed = any(entry["action"] == "run.resumed" for entry in self._audit())
        self.seen.resumed_after_kill = resumed and len(calls) == 1
        self.teller.fact("restarted, it read the key's state back and went on", resumed)
        self.teller.fact(f"the key was deactivated {len(calls)} time", len(calls) == 1)
        status = self.company.key_status()
        self.teller.fact(f"the key is {status}", status == "Inactive")
        gone = self.company.attacker_deletes(BUCKETS[3])
        self.seen.attacker_refused_after_containment = not gone and BUCKETS[3] in self.company.buckets()
        error = self.company.refused[-1] if self.company.refused else "nothing"
        self.teller.fact(
            f"the attacker's next call is refused: {error}", self.seen.attacker_refused_after_containment
        )

    def the_buckets(self) -> None:
        """The other buckets are protected by merging a Deny into each policy."""
        self.teller.chapter("The buckets that are left")
        left = [bucket for bucket in self.company.buckets() if bucket in BUCKETS]
        plan_card = self._propose(
            "INC-1", "aws.protect-buckets", "the others are next", {"buckets": ",".join(left)}
        )
        self._approve(self.ben, plan_card, SHOP)
        self._plan_ends("INC-1", 2)
        for bucket in left:
            sids = [str(statement.get("Sid")) for statement in self.company.statements(bucket)]
            merged = "TlsOnly" in sids and len(sids) > 1
            self.teller.fact(f"{bucket}: {', '.join(sids)}", merged)

    def the_maintenance(self) -> None:
        """Azure announces maintenance: the provider's side, nothing to contain."""
        self.teller.chapter("Azure announces maintenance")
        _, _, secret = DOOR.partition("=")
        body = notifications.planned_maintenance(datetime.now(UTC)).encode()
        request = urllib.request.Request(f"{self.bot.url}/azure/{secret}", data=body, method="POST")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.teller.fact(f"the webhook answers {answer.status} after the notice is stored")
        self.teller.slack("#incidents", self._shown(self._card("INC-2")))
        refusal = self._refused_preview("INC-2", "azure.block-public-storage", NOTHING, self.channel)
        self.teller.slack("Ana asks to contain it; only she sees this", refusal)

    def the_root(self) -> None:
        """A quarantine whose parent somebody sets to the organisation's Root is refused."""
        self.teller.chapter("A quarantine aimed at the Root")
        root = self.company.root_id()
        given = {"quarantine_parent_id": root}
        refusal = self._refused_preview("INC-1", "aws.quarantine-account", given, self.security)
        no = [entry for entry in self._audit() if entry["action"] == "preview.refused"]
        from_settings = any(entry["data"].get("param") == "quarantine_parent_id" for entry in no)
        self.seen.root_refused = root in refusal and from_settings
        self.teller.slack("only Ana sees this", refusal)
        self.teller.fact("refused, before anybody was asked for a key", self.seen.root_refused)

    def the_review(self) -> None:
        """The incident is resolved and its post-mortem published."""
        self.teller.chapter("The post-mortem")
        self.ben.command(
            "/twokey", "resolve INC-1 the key is disabled and the buckets are protected", self.security
        )
        self._wait(lambda: any(entry["data"].get("state") == "resolved" for entry in self._audit()))
        self._wait(lambda: any(entry["action"] == "postmortem.drafted" for entry in self._audit()))
        for version in ("en", "ja", "en public", "ja public"):
            self.ben.command("/twokey", f"postmortem INC-1 publish {version}", self.security)
        posted = self.folder / "postmortems"
        self._wait(lambda: len([*posted.rglob("INC-1*.md")]) == 4)
        published = sorted(posted.rglob("INC-1*.md"))
        self.seen.postmortem = str(next(p for p in published if ".en." in p.name and "internal" in p.name))
        for path in published:
            self.teller.fact(f"{path.relative_to(self.folder)} ({path.stat().st_size} bytes)")

    def the_proof(self) -> None:
        """The audit trail proves itself, against a head that was posted in the thread."""
        self.teller.chapter("The proof")
        entries = self._audit()
        head = self._posted_head()
        arguments = ["audit", "verify", "--head", head] if head else ["audit", "verify"]
        proof = self._twokey(*arguments)
        self.seen.audit_intact = proof.returncode == 0 and bool(head)
        self.teller.say("  " + proof.stdout.strip().replace("\n", "\n  "))
        self.teller.fact(
            f"checked against the head {head or '(none)'} posted in Slack", self.seen.audit_intact
        )
        self.seen.keys = sum(1 for entry in entries if entry["action"] == "approved")
        self.seen.keys += sum(1 for entry in entries if entry["action"] == "proposed")
        self.seen.incidents = [
            {"id": str(row["id"]), "label": str(row["label"])} for row in self._incidents()
        ]

    # what people do

    def _propose(self, incident: str, runbook: str, why: str, params: Mapping[str, str] = NOTHING) -> Message:
        """Go through the contain modal as Ana, and return the approval card."""
        known = len(self._plan_cards(incident))
        view = self._ask(incident, runbook, params, self.security, "contain_propose")
        if not known:  # one of them is enough to read
            self.teller.slack(f"Ana's preview of {runbook}", self._shown(view))
        delivery = self._submit(self.ana, view, reason=why, code=self.anas.code())
        if delivery.errors:
            raise RuntimeError(f"the proposal was refused: {delivery.errors}")
        self._wait(lambda: len(self._plan_cards(incident)) > known)
        return self._plan_cards(incident)[-1]

    def _refused_preview(
        self, incident: str, runbook: str, params: Mapping[str, str], channel: Channel
    ) -> str:
        """Ask for a preview as Ana, and return what the modal says instead."""
        view = self._ask(incident, runbook, params, channel, "told", "contain_params")
        refusal = self._shown(view)
        self.ana.close(view)
        return refusal

    def _ask(
        self, incident: str, runbook: str, params: Mapping[str, str], channel: Channel, *callbacks: str
    ) -> View:
        """Ask for a containment as Ana, and return the modal that answers."""
        given = "".join(f" {name}={value}" for name, value in params.items())
        self.ana.command("/twokey", f"contain {incident} {runbook}{given}", channel)
        return self._wait(lambda: self._view(self.ana, *callbacks))

    def _approve(self, person: Person, plan_card: Message, typed: str) -> None:
        """Turn a key through Review & approve."""
        delivery = self._review(person, plan_card, typed, self.authenticator.code)
        if delivery.errors:
            raise RuntimeError(f"the key was refused: {delivery.errors}")

    def _refused_key(self, person: Person, plan_card: Message, typed: str) -> str:
        """Try to turn a key, and return the refusal, from the modal or as a private message."""
        before = len(self.slack.ephemerals(person))
        delivery = self._review(person, plan_card, typed, self.authenticator.shown)
        if still := self.slack.view_of(person):
            person.close(still)
        if delivery.errors:
            return "; ".join(delivery.errors.values())
        self._wait(lambda: len(self.slack.ephemerals(person)) > before)
        return self._shown(self.slack.ephemerals(person)[-1])

    def _review(self, person: Person, plan_card: Message, typed: str, code: Callable[[], str]) -> Delivery:
        """Open Review & approve on the card as it stands now, and send the modal."""
        fresh = next((m for m in self._thread("INC-1") if m.ts == plan_card.ts), plan_card)
        person.click(fresh, "plan_review")
        view = self._wait(lambda: self._view(person, "plan_approve"))
        if person is self.ben and not self.has_shown_review:  # one of them is enough to read
            self.teller.slack("Ben is shown, before he is asked for anything", self._shown(view))
            self.has_shown_review = True
        return self._submit(person, view, typed=typed, code=code())

    def _submit(self, person: Person, view: View, **values: str) -> Delivery:
        """Fill in the fields that a modal has, ticking "I have checked this" where it is asked."""
        asked = {block.get("block_id") for block in view.blocks}
        filled: dict[str, str | list[str]] = {name: value for name, value in values.items() if name in asked}
        if "checked" in asked:
            filled["checked"] = ["yes"]
        return person.submit(view, filled)

    # what people see

    def _shown(self, content: Message | View) -> str:
        return self.slack.show(content, 74)

    def _view(self, person: Person, *callbacks: str) -> View | None:
        view = self.slack.view_of(person)
        return view if view is not None and view.callback_id in callbacks else None

    def _card(self, incident: str) -> Message:
        """Return an incident's card once it stands in its channel."""

        def found() -> Message | None:
            everywhere = [*self.slack.messages(self.security), *self.slack.messages(self.channel)]
            return next((m for m in everywhere if f"· {incident} ·" in self.slack.show(m)), None)

        return self._wait(found)

    def _thread(self, incident: str) -> list[Message]:
        card = self._card(incident)
        return self.slack.thread(card.channel, card.ts)

    def _plan_cards(self, incident: str) -> list[Message]:
        return [
            m for m in self._thread(incident) if any("approval:" in b.get("block_id", "") for b in m.blocks)
        ]

    def _plan_ends(self, incident: str, runs: int) -> None:
        """Wait until that many plans are done: their cards then offer the undo, in every language."""
        self._wait(
            lambda: sum("plan_undo" in str(card.blocks) for card in self._plan_cards(incident)) >= runs
        )

    def _wait(self, condition: Callable[[], T | None]) -> T:
        """Wait until something is so, and return it."""
        return self.slack.wait_for(condition, WAIT)

    # what the record says, asked as an outsider would: through the program

    def _audit(self) -> list[dict[str, Any]]:
        lines = self._twokey("audit", "export").stdout.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _incidents(self) -> list[dict[str, Any]]:
        lines = self._twokey("incidents", "list", "all", "--json").stdout.splitlines()
        return [json.loads(line) for line in reversed(lines) if line.startswith("{")]

    def _posted_head(self) -> str:
        """Return sequence and hash of the last audit entry that a thread message shows."""
        heads = [_AUDIT.search(self.slack.show(message)) for message in self._thread("INC-1")]
        found = [match for match in heads if match]
        return f"{found[-1][1]}:{found[-1][2]}" if found else ""

    def _twokey(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": "", "HOME": str(self.folder), **self.bot.variables}
        return subprocess.run(
            [sys.executable, "-m", "twokey", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _kill_once(self, call: Call) -> bool:
        if call.operation != "UpdateAccessKey" or call.status != 200:
            return True
        self.proxy.after.remove(self._kill_once)
        self.bot.kill()
        return False

    def _last4(self) -> str:
        return self.company.key_id[-4:]

    def _variables(self) -> dict[str, str]:
        slack, team = self.slack, self.slack.team_id
        roster = self.folder / "roster.yaml"
        roster.write_text(_ROSTER.format(team=team, ana=self.ana.id, ben=self.ben.id))
        totp = self.folder / "totp.yaml"
        totp.write_text(f"p-ana: {self.anas.secret}\np-ben: {self.authenticator.secret}\n")
        totp.chmod(0o600)
        return {
            "TWOKEY_DATABASE_URL": f"sqlite:///{self.folder}/twokey.db",
            "TWOKEY_ROSTER_FILE": str(roster),
            "TWOKEY_TOTP_FILE": str(self.folder / "totp.yaml"),
            "TWOKEY_POSTMORTEMS_DIR": str(self.folder / "postmortems"),
            "TWOKEY_SLACK_API_URL": slack.api_url,
            "TWOKEY_REHEARSAL": "1",
            "TWOKEY_SLACK_BOT_TOKEN": slack.bot_token,
            "TWOKEY_SLACK_APP_TOKEN": slack.app_token,
            "TWOKEY_SLACK_TEAM": team,
            "TWOKEY_SLACK_CHANNEL": self.channel.id,
            "TWOKEY_SLACK_SECURITY_CHANNEL": self.security.id,
            "TWOKEY_AZURE_WEBHOOKS": DOOR,
            "TWOKEY_AZURE_SUBSCRIPTIONS": notifications.SUBSCRIPTION,
            "TWOKEY_AWS_REGION": REGION,
            "TWOKEY_AWS_ENDPOINT_URL": self.proxy.url,
            "TWOKEY_AWS_QUEUES": self.company.queue_url.replace(self.company.url, self.proxy.url),
            "TWOKEY_AWS_ROLE_NAME": ROLE,
            "TWOKEY_AWS_EXTERNAL_ID": EXTERNAL_ID,
            "TWOKEY_LEASE_S": "3",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


_ROSTER = """\
people:
  - id: p-ana
    name: Ana
    slack: [{{team: {team}, user: {ana}}}]
    roles: [responder]
    scopes: ["*"]
    step_up: totp
  - id: p-ben
    name: Ben
    slack: [{{team: {team}, user: {ben}}}]
    roles: [responder, commander, approver]
    scopes: ["*"]
    step_up: totp
"""
