"""Draft, revise, publish: what happened becomes a post-mortem, from the record alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from twokey.core.errors import Invalid, Json, NotFound, Refused, TwokeyError, message
from twokey.core.incidents import Incident, Times
from twokey.core.jobs import Job, JobKind
from twokey.core.people import (
    Actor,
    ChatIdentity,
    Role,
    Roster,
    acting,
    identify,
    system,
)
from twokey.core.postmortems import (
    AUDIENCES,
    Postmortem,
    Record,
    postmortem_id,
    text_digest,
)
from twokey.core.texts import LANGUAGES
from twokey.flow import outbox
from twokey.flow.crashpoints import At
from twokey.flow.lookup import canonical_id, incident_by_id
from twokey.flow.review.publish import intend, put_and_record, require_fit, still_owed, version_message
from twokey.flow.review.record import gather, names_of
from twokey.ports import (
    Checkpoint,
    Clock,
    Publisher,
    Rosters,
    Snapshot,
    Store,
    no_checkpoint,
)

MAX_TEXT_BYTES = 2_000_000


@dataclass(frozen=True)
class Review:
    """Run the last stage: it never stands in the way of closing an incident, for it only reads it."""

    store: Store
    clock: Clock
    rosters: Rosters
    publisher: Publisher
    languages: tuple[str, ...] = LANGUAGES
    audiences: tuple[str, ...] = AUDIENCES
    checkpoint: Checkpoint = no_checkpoint

    def record(self, incident_id: str) -> Record:
        """Gather everything that is on record about an incident; what is unknown stays unknown."""
        with self.store.read() as look:
            return gather(look, incident_id, self._roster(), self.clock.now())

    def drafts(self, incident_id: str) -> list[Postmortem]:
        """Return the versions that exist, drafted, revised or published."""
        with self.store.read() as look:
            return look.find(Postmortem, incident_id=canonical_id(incident_id))

    def preview(self, incident_id: str, language: str, audience: str) -> str:
        """Return the text as it would be drafted now; nothing is stored."""
        return self.publisher.render(self.record(incident_id), language, audience)

    def draft(self, incident_id: str, by: Actor) -> list[Postmortem]:
        """Draft every version anew from the record; what a person revised, and what was published, stays."""
        record = self.record(incident_id)
        record = replace(record, drafted_by=record.names.get(by.id, by.id))
        head = record.head[0] if record.head else 0
        texts = {
            (language, audience): self.publisher.render(record, language, audience)
            for language in self.languages
            for audience in self.audiences
        }
        with self.store.change() as tx:
            kept, drawn = [], []
            for (language, audience), text in texts.items():
                name = postmortem_id(record.incident.id, language, audience)
                known = tx.get(Postmortem, name)
                if known and known.revised_at:
                    kept.append(known)
                    continue
                fresh = known or Postmortem(
                    name, record.incident.id, language, audience, "", self.clock.now(), by.id
                )
                drawn.append(
                    replace(fresh, text=text, drafted_at=self.clock.now(), drafted_by=by.id, head=head)
                )
            for version in drawn:
                tx.put(version)
            digests: dict[str, Json] = {_version(one): text_digest(one.text) for one in drawn}
            entry = tx.append(by, "postmortem.drafted", incident_id=record.incident.id, data=digests)
            versions = ", ".join(_version(one) for one in drawn) or "-"
            outbox.tell_thread(
                tx, entry, message("postmortem.drafted", incident=record.incident.id, versions=versions)
            )
        return sorted(kept + drawn, key=lambda version: version.id)

    def revise(
        self, incident_id: str, language: str, audience: str, text: str, who: ChatIdentity | Actor
    ) -> Postmortem:
        """Put a person's own words in place of a draft; later drafts leave them alone."""
        size = len(text.encode("utf-8", "surrogatepass"))
        if not text.strip():
            raise Refused("postmortem.text_empty")
        if size > MAX_TEXT_BYTES:
            raise Refused("postmortem.text_too_long", size=size, limit=MAX_TEXT_BYTES)
        actor, name = self._who(incident_id, who, audience="internal")
        with self.store.change() as tx:
            known = _drafted(tx, incident_id, language, audience)
            revised = replace(
                known, text=text, head=tx.head()[0], revised_at=self.clock.now(), revised_by=actor.id
            )
            tx.put(revised)
            data: dict[str, Json] = {"language": language, "audience": audience, "sha256": text_digest(text)}
            entry = tx.append(actor, "postmortem.revised", incident_id=known.incident_id, data=data)
            outbox.tell_thread(tx, entry, version_message("postmortem.revised", revised, person=name))
        return revised

    def correct(
        self, incident_id: str, name: str, at: datetime, reason: str, who: ChatIdentity | Actor
    ) -> Incident:
        """Put one of an incident's seven times right, closed or not; the trail keeps the old one."""
        if name not in Times.__dataclass_fields__:
            raise Refused("postmortem.no_such_time", name=name, legal=", ".join(Times.__dataclass_fields__))
        if at.tzinfo is None:
            raise Refused("postmortem.zone_missing", at=at.isoformat())
        if len(reason.strip()) < 10:
            raise Refused("postmortem.reason_missing")
        actor, person = self._who(incident_id, who, audience="internal")
        if at > self.clock.now():
            raise Refused(
                "postmortem.time_future", incident=canonical_id(incident_id), name=name, at=at.isoformat()
            )
        with self.store.change() as tx:
            before = incident_by_id(tx, incident_id)
            was: datetime | None = getattr(before.times, name)
            after = replace(before, times=replace(before.times, **{name: at}))
            tx.put(after)
            shown = was.isoformat() if was else "-"
            data: dict[str, Json] = {
                "name": name,
                "was": shown,
                "now": at.isoformat(),
                "reason": reason[:2000],
            }
            entry = tx.append(actor, "time.corrected", incident_id=after.id, data=data)
            params = {"incident": after.id, "person": person, **data}
            outbox.tell_thread(tx, entry, message("postmortem.corrected", **params))
        return after

    def publish(
        self, incident_id: str, language: str, audience: str, who: ChatIdentity | Actor
    ) -> Postmortem:
        """Publish one version where the team reads it, if it is fit for that; the same text twice is once."""
        actor, _ = self._who(incident_id, who, audience=audience)
        record = self.record(incident_id)
        with self.store.read() as look:
            draft = _drafted(look, record.incident.id, language, audience)
        if draft.is_published:
            return draft
        try:
            require_fit(record, draft, self.clock.now())
        except Refused as refusal:
            self._keep_refusal(record.incident.id, actor, refusal)
            raise
        intend(self.store, draft, actor, self.clock.now())
        self.checkpoint(At.PUBLISH_INTENDED)
        try:
            return self._put(draft, actor)
        except (Refused, Invalid) as refusal:
            self._keep_refusal(record.incident.id, actor, refusal, text_digest(draft.text))
            raise

    def run(self, job: Job) -> None:
        """Do what the engine owes: a draft, or a publication that a crash cut short."""
        if job.kind is JobKind.PUBLISH:
            owed = still_owed(self.store, job)
            if owed:
                self._put(*owed)
        elif job.kind is JobKind.DRAFT:
            incident_id, after = job.payload["incident_id"], int(job.payload.get("after", "0"))
            versions = self.drafts(incident_id)
            wanted = len(self.languages) * len(self.audiences)
            if len(versions) >= wanted and all(one.head >= after or one.revised_at for one in versions):
                return  # an earlier attempt, or a person, was quicker
            self.draft(incident_id, system("review"))

    def _put(self, draft: Postmortem, actor: Actor) -> Postmortem:
        name = names_of(self._roster()).get(actor.id, actor.id)
        return put_and_record(
            self.store, self.clock, self.publisher, draft, actor, name=name, checkpoint=self.checkpoint
        )

    def _who(self, incident_id: str, who: ChatIdentity | Actor, *, audience: str) -> tuple[Actor, str]:
        """Say who acts, as the roster is now; publishing outside is for those who may also approve."""
        roster = self._roster() if isinstance(who, Actor) else self.rosters.current()
        if isinstance(who, Actor):
            return who, names_of(roster).get(who.id, who.id)
        with self.store.read() as look:
            incident = incident_by_id(look, incident_id)
        try:
            person = identify(who, roster)
            scope, roles = incident.account, person.roles_at(incident.account)
            if not roles and incident.commander != person.id:
                raise Refused(
                    "postmortem.not_yours", person=person.name, scope=scope or "-", incident=incident.id
                )
            leads = incident.commander == person.id or Role.COMMANDER in roles or Role.APPROVER in roles
            if audience == "public" and not leads:
                raise Refused("postmortem.public_needs_lead", person=person.name, incident=incident.id)
        except Refused as refusal:
            known = roster.behind(who.account)
            self._keep_refusal(incident.id, Actor(known.id if known else "unknown", who.account), refusal)
            raise
        return acting(person, who.account), person.name

    def _roster(self) -> Roster:
        """Return the roster for names only: unreadable, it gives ids instead, and stops nothing."""
        try:
            return self.rosters.current()
        except Refused:
            return Roster()

    def _keep_refusal(self, incident_id: str, actor: Actor, refusal: TwokeyError, digest: str = "") -> None:
        with self.store.change() as tx:
            data: dict[str, Json] = {**refusal.message.params, "code": refusal.message.code, "sha256": digest}
            tx.append(actor, "postmortem.refused", incident_id=incident_id, data=data)


def _drafted(look: Snapshot, incident_id: str, language: str, audience: str) -> Postmortem:
    if language not in LANGUAGES or audience not in AUDIENCES:
        raise NotFound("postmortem.no_such_version", language=language, audience=audience)
    incident = canonical_id(incident_id)
    draft = look.get(Postmortem, postmortem_id(incident, language, audience))
    if draft is None:
        raise NotFound("postmortem.not_drafted", incident=incident, language=language, audience=audience)
    return draft


def _version(one: Postmortem) -> str:
    return f"{one.language}/{one.audience}"
