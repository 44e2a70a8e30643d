"""The bytes that an audit entry's hash covers, made ten times faster than by the general canonicaliser.

A property test proves for any entry that these are exactly the bytes of `twokey.core.audit`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

import orjson

from twokey.core.audit import AuditEntry
from twokey.core.errors import Json, Tampered
from twokey.core.people import Actor, ChatAccount
from twokey.core.runbooks import canonical
from twokey.core.texts import without_secrets
from twokey.store.types import storable

_SAFE_INTEGER = 2**53 - 1
Row = Sequence[Any]
"""seq, at, actor, team, user, action, incident_id, plan_id, data, previous, hash: as the table has them."""


def sealed_row(
    head: tuple[int, str], at: datetime, actor: Actor, action: str, about: tuple[str, str], *, data: str
) -> dict[str, Any]:
    """Return the row of the entry behind `head`; `about` is incident and plan, `data` canonical JSON."""
    team, user = (actor.account.team, actor.account.user) if actor.account else ("", "")
    texts = [storable(text) for text in (actor.id, team, user, action, *about)]
    row = [head[0] + 1, at.astimezone(UTC).isoformat(), *texts, data, head[1]]
    names = ("seq", "at", "actor", "team", "user", "action", "incident_id", "plan_id", "data", "previous")
    return {**dict(zip(names, row, strict=True)), "hash": hashlib.sha256(preimage(row)).hexdigest()}


def preimage(row: Row) -> bytes:
    """Return the RFC 8785 canonical JSON of an entry without its hash."""
    seq, at, actor, team, user, action, incident, plan, data, previous, *_ = row
    text = encode_basestring
    return (
        f'{{"action":{text(action)},"actor":{text(actor)},"at":{text(at)},"data":{data},'
        f'"incident":{text(incident)},"plan":{text(plan)},"previous":"{previous}","seq":{seq},'
        f'"team":{text(team)},"user":{text(user)}}}'
    ).encode()


def export_line(row: Row) -> str:
    """Return an entry as it is handed out: canonical JSON with its hash, so that whoever takes out the hash
    has the very bytes that were hashed."""
    return (
        preimage(row)
        .decode()
        .replace(f'"data":{row[8]},"incident":', f'"data":{row[8]},"hash":"{row[10]}","incident":', 1)
    )


def entry_of(row: Row) -> AuditEntry:
    """Return the entry that a row holds."""
    seq, at, actor, team, user, action, incident, plan, data, previous, hash_ = row
    moment = datetime.fromisoformat(at)
    return AuditEntry(
        seq, moment, _actor(actor, team, user), action, incident, plan, parsed(data), previous, hash_
    )


@lru_cache(maxsize=1024)
def _actor(id: str, team: str, user: str) -> Actor:
    return Actor(id, ChatAccount(team, user) if team or user else None)


def verify_rows(rows: Iterable[Row], after: tuple[int, str]) -> tuple[int, str]:
    """Prove that rows continue a chain, and return its new head; raise Tampered as core.audit.verify does.

    This is that rule over the columns as they stand: a column that reads the same but is written
    otherwise is a change here too.
    """
    seq, previous = after
    sha256 = hashlib.sha256
    for row in rows:
        seq += 1
        if row[0] != seq:
            raise Tampered("audit.gap", seq=seq, found=row[0])
        if row[9] != previous:
            raise Tampered("audit.broken_link", seq=seq)
        previous = row[10]
        try:
            is_true = sha256(preimage(row)).hexdigest() == previous
        except (TypeError, ValueError):  # a column holds what we never write: another type, broken text
            is_true = False
        if not is_true:
            raise Tampered("audit.changed", seq=seq)
    return seq, previous


def data_text(data: Mapping[str, Json] | None) -> str:
    """Return an entry's data as canonical JSON. What that cannot say exactly (big integers, NaN, what
    no text encoding has) is written as text: a hostile value must not stop the trail. A secret is left out:
    what is written here can never be taken out again."""
    return canonical(_plain(dict(data))).decode() if data else "{}"


def parsed(data: str) -> dict[str, Json]:
    """Return what canonical JSON says."""
    found = orjson.loads(data)
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return storable(without_secrets(value))
    if isinstance(value, Mapping):
        return {storable(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= _SAFE_INTEGER else str(value)
    if isinstance(value, float):
        # A large whole float is written without a point, and would be read as a too large integer.
        return value if math.isfinite(value) and abs(value) <= _SAFE_INTEGER else str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return storable(str(value))
