"""Commits what the spool holds: fresh tokens that an unreachable store could not take."""

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from aimkeeper.core.begin import logged_in
from aimkeeper.core.change import Claim
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.outcome import LoggedIn, Rotated
from aimkeeper.core.policy import Exchange, Policy, settle_rotation
from aimkeeper.core.session import SessionKey
from aimkeeper.core.token import Fingerprint
from aimkeeper.store.spool import SpooledLogin, SpooledRotation

if TYPE_CHECKING:
    from collections.abc import Callable

    from aimkeeper.store.store import Store


async def replay(store: "Store", policy: Policy, new_id: "Callable[[], str]") -> int:
    """
    Commit everything the spool holds; how many records. Before any claim of a dead owner's is put in doubt.

    Raises:
        StoreUnavailable: The store is still away; nothing was removed.
    """
    count = 0
    for path, records in store.spool.left_behind():
        for record in records:
            if isinstance(record, SpooledRotation):
                await _rotation(store, record, policy)
            else:
                await _login(store, record, policy, new_id())
            count += 1
        store.spool.remove(path)
    return count


async def _rotation(store: "Store", record: SpooledRotation, policy: Policy) -> None:
    current = await store.get(record.session_id)
    if current is None:
        return
    # As it was when the claim was made: whether that still holds, or the token becomes a spare, the commit finds out.
    held = replace(current, generation=record.generation)
    claim = Claim(held, record.owner, record.claim_id, taken_at=0.0)
    rotated = Rotated(record.fresh_token, record.cookie_delta, record.fingerprint)
    exchange = Exchange(record.via, record.settled_at, timedelta(0), jitter=0.0)
    await store.commit([settle_rotation(claim, rotated, policy, exchange)])


async def _login(store: "Store", record: SpooledLogin, policy: Policy, session_id: str) -> None:
    key = SessionKey(record.email, Fingerprint(record.fingerprint))
    known = await store.by_pair(key)
    if known is not None and known.rotated_at > record.settled_at:
        return
    session = logged_in(
        session_id,
        key,
        LoggedIn(record.fresh_token, record.cookie_delta),
        policy,
        record.settled_at,
        password=record.password,
        session_type=record.session_type,
    )
    fact = Event(
        kind=EventKind.LOGGED_IN,
        at=record.settled_at,
        session_id=session.id,
        email=session.email,
        data={"remembered": record.password is not None, "token": record.fresh_token.mark()},
    )
    await store.put(session, fact, replacing=True)
