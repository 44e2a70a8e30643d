"""Publishing in three moves: intend on record, put it where the team reads it, record that it is there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from twokey.core.audit import AuditEntry
from twokey.core.errors import Json, Message, Refused, message
from twokey.core.incidents import State
from twokey.core.jobs import Job, JobKind
from twokey.core.people import Actor, ChatAccount
from twokey.core.postmortems import Postmortem, Record, faults, named_in, text_digest
from twokey.flow import outbox
from twokey.flow.crashpoints import At
from twokey.ports import Checkpoint, Clock, Publisher, Store

FINISH_AFTER = timedelta(minutes=1)  # the person's own call is quicker
# What may come after a draft without making its text untrue.
_HARMLESS_KINDS = ("postmortem.", "notice.", "job.")
_HARMLESS = ("joined", "announced", "noted", "confirmation.checked", "shown")


class NotReadyError(Refused):
    """Not fit to be published yet: `faults` names all there is to put right, the message the first."""

    def __init__(self, faults: tuple[Message, ...]) -> None:
        self.faults = faults
        super().__init__(faults[0].code, **faults[0].params)


def require_fit(record: Record, draft: Postmortem, now: datetime) -> None:
    """Refuse a draft whose record has faults, that is older than the news, or that names what is ours."""
    # FireFighter's three checks are named all at once; a public text that a person wrote may name nobody.
    unfit = faults(record, now)
    if unfit:
        raise NotReadyError(unfit)
    news = [entry.seq for entry in record.entries if entry.seq > draft.head and _is_news(entry)]
    if news:
        raise Refused("postmortem.stale", incident=record.incident.id, first=news[0], count=len(news))
    if draft.audience == "public" and draft.revised_at:
        names = named_in(draft.text, record)
        if names:  # the names stay out of the message: it is shown where the text may be seen
            raise Refused("postmortem.says_names", incident=record.incident.id, count=len(names))


def intend(store: Store, draft: Postmortem, actor: Actor, now: datetime) -> None:
    """Write down what is about to be published, and owe it in case nobody comes back from doing it."""
    account = actor.account
    with store.change() as tx:
        entry = tx.append(actor, "postmortem.publishing", incident_id=draft.incident_id, data=_which(draft))
        payload = {
            "postmortem_id": draft.id,
            "digest": text_digest(draft.text),
            "intended": str(entry.seq),
            "person_id": actor.id,
            "team": account.team if account else "",
            "user": account.user if account else "",
        }
        tx.enqueue(
            Job(
                f"publish:{draft.id}:{entry.seq}",
                JobKind.PUBLISH,
                payload,
                lock=f"publish:{draft.id}",
                not_before=now + FINISH_AFTER,
            )
        )


def put_and_record(
    store: Store,
    clock: Clock,
    publisher: Publisher,
    draft: Postmortem,
    actor: Actor,
    *,
    name: str,
    checkpoint: Checkpoint,
) -> Postmortem:
    """Put a draft where the team reads it and record where that is; the same text twice is once."""
    where = publisher.publish(draft)
    checkpoint(At.PUBLISH_ACTED)
    digest = text_digest(draft.text)
    with store.change() as tx:
        known = tx.get(Postmortem, draft.id) or draft
        if known.published_at and known.published_digest == digest:
            tx.append(actor, "postmortem.published.again", incident_id=draft.incident_id, data=_which(draft))
            return known
        published = replace(
            known,
            published_at=clock.now(),
            published_by=actor.id,
            published_to=where,
            published_digest=digest,
        )
        tx.put(published)
        data = {**_which(draft), "where": where}
        entry = tx.append(actor, "postmortem.published", incident_id=draft.incident_id, data=data)
        outbox.tell_thread(
            tx, entry, version_message("postmortem.published", published, person=name, where=where)
        )
    return published


def still_owed(store: Store, job: Job) -> tuple[Postmortem, Actor] | None:
    """Return what was intended and by whom; None when it is done, was refused, or is another text by now."""
    digest, intended = job.payload["digest"], int(job.payload["intended"])
    with store.read() as look:
        draft = look.get(Postmortem, job.payload["postmortem_id"])
        if draft is None or draft.published_digest == digest:
            return None
        since = look.audit(incident_id=draft.incident_id, after=intended)
    if any(one.action == "postmortem.refused" and one.data.get("sha256") == digest for one in since):
        return None  # the person was told why
    payload, user = job.payload, job.payload.get("user", "")
    actor = Actor(payload["person_id"], ChatAccount(payload["team"], user) if user else None)
    if text_digest(draft.text) != digest:
        with store.change() as tx:
            tx.append(actor, "postmortem.lapsed", incident_id=draft.incident_id, data=_which(draft))
        return None
    return draft, actor


def version_message(code: str, one: Postmortem, **params: object) -> Message:
    """Make a message about one version of a post-mortem."""
    return message(code, incident=one.incident_id, language=one.language, audience=one.audience, **params)


def _is_news(entry: AuditEntry) -> bool:
    """Say whether an entry tells of something that a draft from before does not know."""
    if entry.action == "moved" and entry.data.get("state") in (State.POSTMORTEM.value, State.CLOSED.value):
        return False
    return (
        not entry.action.startswith(_HARMLESS_KINDS)
        and not entry.action.endswith(".again")
        and entry.action not in _HARMLESS
    )


def _which(draft: Postmortem) -> dict[str, Json]:
    return {"language": draft.language, "audience": draft.audience, "sha256": text_digest(draft.text)}
