"""Sessions as rows and back: instants as microseconds, the secret part sealed."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

import msgspec

from aimkeeper.core.change import Change, Kind
from aimkeeper.core.cookies import Cookie, Jar
from aimkeeper.core.errors import KeyProblem
from aimkeeper.core.outcome import Life
from aimkeeper.core.session import RING_LENGTH, Cause, Handout, Ring, Secrets, Session, Status, Suspicion, Turn
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.store.plain import read_plain
from aimkeeper.store.seal import Sealer

Row = Sequence[Any]
Params = Mapping[str, Any]

# To which a sealed value is bound.
SEALED_COLUMN = "sealed"
SPARE_COLUMN = "spare"


class _Sealed(msgspec.Struct, array_like=True):
    token: str | None
    cookies: tuple[Cookie, ...]
    password: str | None
    handouts: tuple[Handout, ...]


class _Suspicion(msgspec.Struct, array_like=True):
    first_at: int
    run_at: int
    logouts: int
    life: str | None
    spares_tried: bool


_encode = msgspec.msgpack.Encoder().encode
_decode_sealed = msgspec.msgpack.Decoder(_Sealed).decode
_decode_suspicion = msgspec.msgpack.Decoder(_Suspicion).decode
_decode_turn = msgspec.msgpack.Decoder(Turn).decode
_split_ring = msgspec.msgpack.Decoder(tuple[msgspec.Raw, ...]).decode


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970: what the embedded store keeps."""
    return round(moment.timestamp() * 1_000_000)


def instant(micro: int) -> datetime:
    return datetime.fromtimestamp(micro / 1_000_000, UTC)


def maybe_micros(moment: datetime | None) -> int | None:
    return None if moment is None else micros(moment)


def maybe_instant(micro: int | None) -> datetime | None:
    return None if micro is None else instant(micro)


def upkeep_params(now: datetime) -> dict[str, Any]:
    """What the statements of `Backend.upkeep` are asked with."""
    return {"this_minute": int(now.timestamp()) // 60, "an_hour_ago": micros(now - timedelta(hours=1))}


def seal_secrets(sealer: Sealer, session_id: str, secrets: Secrets) -> bytes:
    token = secrets.token.text if secrets.token else None
    plain = _encode(_Sealed(token, secrets.jar.cookies, secrets.password, secrets.handouts))
    return sealer.seal(session_id, SEALED_COLUMN, plain)


def open_secrets(sealer: Sealer, session_id: str, sealed: bytes) -> Secrets:
    """What *sealed* holds; nothing when it was wiped."""
    if not sealed:
        return Secrets(token=None)
    try:
        opened = _decode_sealed(sealer.open(session_id, SEALED_COLUMN, sealed))
    except msgspec.DecodeError:
        raise KeyProblem("a sealed value in the store holds something this version can't read.") from None
    token = Token(opened.token) if opened.token is not None else None
    return Secrets(token, Jar(opened.cookies), opened.password, opened.handouts)


def seal_spare(sealer: Sealer, spare_id: str, token: Token) -> bytes:
    return sealer.seal(spare_id, SPARE_COLUMN, token.text.encode())


def open_spare(sealer: Sealer, spare_id: str, sealed: bytes) -> Token:
    row_id, column = spare_bond(spare_id)
    if column == SPARE_COLUMN:
        return Token(sealer.open(row_id, column, sealed).decode())
    token = open_secrets(sealer, row_id, sealed).token
    assert token is not None, "only what held a token is put aside"
    return token


def spare_bond(spare_id: str) -> tuple[str, str]:
    """
    The row and the column to which a spare is sealed.

    Its own; but where another program wrote over a token, the database put aside what it could not open: the row's
    sealed part as it stood (`row:ID:…`).
    """
    kind, _, rest = spare_id.partition(":")
    return (rest.partition(":")[0], SEALED_COLUMN) if kind == "row" else (spare_id, SPARE_COLUMN)


def session_from(row: Row, sealer: Sealer) -> Session:
    """
    A session from the columns of `queries.SESSION_COLUMNS`, in their order.

    Raises:
        KeyProblem: Its secrets do not open, or the row holds what no version of ours writes.
    """
    secrets = open_secrets(sealer, row[0], row[12])
    if row[30] is not None:
        try:
            secrets = read_plain(row[30], secrets, instant(row[6]))
        except ValueError as error:
            raise KeyProblem(f"session {row[0]} holds something this version can't read ({error}).") from None
    return _read(row, secrets)


def session_without_secrets(row: Row) -> Session:
    """
    The same, with the secrets left sealed.

    Raises:
        KeyProblem: The row holds what no version of ours writes.
    """
    return _read(row, Secrets(token=None))


def _read(row: Row, secrets: Secrets) -> Session:
    try:
        return _session(row, secrets)
    except (ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise KeyProblem(f"session {row[0]} holds something this version can't read ({error}).") from None


def _session(row: Row, secrets: Secrets) -> Session:
    return Session(
        id=row[0],
        email=row[1],
        fingerprint=Fingerprint(row[2]),
        session_type=row[3],
        ref=row[4],
        created_at=instant(row[5]),
        rotated_at=instant(row[6]),
        rotations=row[7],
        last_error=row[8],
        setrefresh_at=maybe_instant(row[9]),
        setrefresh_count=row[10],
        setrefresh_error=row[11],
        secrets=secrets,
        status=Status(row[13]),
        cause=Cause(row[14]) if row[14] else None,
        generation=row[15],
        revision=row[16],
        due_at=maybe_instant(row[17]),
        deadline_at=instant(row[18]),
        ended_at=maybe_instant(row[19]),
        wipe_at=maybe_instant(row[20]),
        attempt=row[21],
        doubt_at=maybe_instant(row[22]),
        suspicion=_suspicion(row[23]) if row[23] else None,
        alive_at=maybe_instant(row[24]),
        setrefresh_due=bool(row[25]),
        settled_in=bool(row[26]),
        spares=row[27],
        ring=Ring(packed=_split_ring(row[28]), unpack=_unpacked),
        owner=row[29],
    )


# What `commit_routine` leaves as it is.
_RARE = attrgetter(
    "status", "cause", "fingerprint", "last_error", "setrefresh_at", "setrefresh_count", "setrefresh_error",
    "account_key", "ended_at", "wipe_at", "attempt", "doubt_at", "suspicion", "alive_at", "setrefresh_due",
    "settled_in",
)  # fmt: skip


def is_routine(change: Change) -> bool:
    """Whether *change* is a rotation that changes nothing but what every rotation changes."""
    before = change.before
    return (
        change.kind is Kind.ROTATION
        and change.release
        and not before.spares
        and not change.events
        and _RARE(change.after) == _RARE(before)
    )


def routine_params(change: Change, sealer: Sealer, now: datetime) -> dict[str, Any]:
    """The parameters of `commit_routine`."""
    after, before, claim = change.after, change.before, change.claim
    assert claim is not None
    secrets = after.secrets if change.edit else None
    return {
        "id": before.id,
        "held_generation": before.generation,
        "held_revision": before.revision,
        "claim_owner": claim.owner,
        "claim_id": claim.claim_id,
        "sealed": seal_secrets(sealer, before.id, secrets) if secrets else None,
        "generation": after.generation,
        "now": micros(now),
        "rotated_at": micros(after.rotated_at),
        "rotations": after.rotations,
        "due_at": maybe_micros(after.due_at),
        "deadline_at": micros(after.deadline_at),
        "ring": _packed(after.ring),
        "plain": secrets,
    }


def commit_params(change: Change, sealer: Sealer, now: datetime) -> dict[str, Any]:
    """The parameters of `commit_rotation` and `commit_attempt`."""
    after = change.after
    return {
        **routine_params(change, sealer, now),
        "release": change.release,
        "status": after.status.value,
        "cause": after.cause.value if after.cause else None,
        "fingerprint": after.fingerprint,
        "last_error": after.last_error,
        "setrefresh_at": maybe_micros(after.setrefresh_at),
        "setrefresh_count": after.setrefresh_count,
        "setrefresh_error": after.setrefresh_error,
        "account_key": after.account_key,
        "ended_at": maybe_micros(after.ended_at),
        "wipe_at": maybe_micros(after.wipe_at),
        "attempt": after.attempt,
        "doubt_at": maybe_micros(after.doubt_at),
        "suspicion": _packed_suspicion(after.suspicion),
        "alive_at": maybe_micros(after.alive_at),
        "setrefresh_due": after.setrefresh_due,
        "settled_in": after.settled_in,
    }


def new_params(session: Session, sealer: Sealer, now: datetime) -> dict[str, Any]:
    """The parameters of `insert_session` and `replace_session`."""
    return {
        "id": session.id,
        "email": session.email,
        "fingerprint": session.fingerprint,
        "session_type": session.session_type,
        "ref": session.ref,
        "now": micros(now),
        "rotated_at": micros(session.rotated_at),
        "account_key": session.account_key,
        "sealed": seal_secrets(sealer, session.id, session.secrets),
        "due_at": maybe_micros(session.due_at),
        "deadline_at": micros(session.deadline_at),
        "setrefresh_due": session.setrefresh_due,
        "settled_in": session.settled_in,
        "alive_at": maybe_micros(session.alive_at),
        "ring": _packed(session.ring),
        "plain": session.secrets,
    }


def _unpacked(packed: tuple[msgspec.Raw, ...]) -> tuple[Turn, ...]:
    """The turns that can be read: no session stands still for the sake of its history."""
    turns = []
    for one in packed:
        with suppress(msgspec.MsgspecError):
            turns.append(_decode_turn(one))
    return tuple(turns)


def _packed(ring: Ring) -> bytes:
    # The older turns go from row to row as they are.
    return _encode((*ring.packed, *ring.fresh)[-RING_LENGTH:])


def _suspicion(packed: bytes) -> Suspicion:
    seen = _decode_suspicion(packed)
    life = Life(seen.life) if seen.life else None
    return Suspicion(instant(seen.first_at), instant(seen.run_at), seen.logouts, life, seen.spares_tried)


def _packed_suspicion(suspicion: Suspicion | None) -> bytes | None:
    if suspicion is None:
        return None
    life = suspicion.life.value if suspicion.life else None
    return _encode(
        _Suspicion(
            micros(suspicion.first_at), micros(suspicion.run_at), suspicion.logouts, life, suspicion.spares_tried
        )
    )
