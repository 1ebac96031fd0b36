"""What every store must show of rotations that change what each changes and no more: the quick way loses nothing."""

from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.core.change import SecretsEdit, touch
from aimkeeper.core.events import EventKind
from aimkeeper.core.policy import event
from aimkeeper.core.session import Handout
from aimkeeper.store import rows
from aimkeeper.store.commits import Fate

MANY = 4


@pytest.fixture
async def claims(house, store, worker):
    """Of sessions that have rotated before: what comes next is routine."""
    await house.fleet(store, MANY)
    first = await store.claim_due(worker, MANY, until=store.now())
    await store.commit([house.rotation(claim) for claim in first])
    house.clock.advance(1)
    return await store.claim_due(worker, MANY, until=store.now() + timedelta(hours=1))


async def rotated(store):
    return (await store.tallies(store.now() - timedelta(hours=1))).get("rotated", 0)


async def tokens(house, store):
    return {session.id: session.token for session in await house.everyone(store)}


async def test_a_routine_group_is_written_counted_and_free_again(house, store, claims):
    changes = [house.rotation(claim) for claim in claims]
    assert all(map(rows.is_routine, changes))

    results = await store.commit(changes)

    kept = {session.id: session for session in await house.everyone(store)}
    assert [result.fate for result in results] == [Fate.COMMITTED] * MANY
    assert all(result.session == replace(kept[result.session.id], ring=result.session.ring) for result in results)
    assert [list(result.session.ring) == list(kept[result.session.id].ring) for result in results] == [True] * MANY
    assert {session.owner for session in kept.values()} == {None}
    assert await tokens(house, store) == {change.before.id: change.edit.token for change in changes}
    assert await rotated(store) == 2 * MANY


async def test_where_one_row_has_moved_the_others_are_written_all_the_same_and_counted_once(house, store, claims):
    given_out = touch(claims[1].session, SecretsEdit(handouts=(Handout(b"h" * 32, 1.0),)))
    await store.commit([given_out])
    changes = [house.rotation(claim) for claim in claims]

    results = await store.commit(changes)

    assert [result.fate for result in results] == [Fate.COMMITTED] * MANY
    assert await tokens(house, store) == {change.before.id: change.edit.token for change in changes}
    moved = await store.get(claims[1].session.id)
    assert [handout.digest for handout in moved.secrets.handouts] == [b"h" * 32]
    assert await rotated(store) == 2 * MANY


async def test_where_somebody_was_quicker_the_late_token_is_put_aside_and_the_others_are_written(house, store, claims):
    quicker = house.rotation(claims[2])
    await store.commit([replace(quicker, claim=replace(claims[2], claim_id="another"))])
    changes = [house.rotation(claim) for claim in claims]

    results = await store.commit(changes)

    late = changes[2]
    assert [result.fate for result in results] == [
        Fate.COMMITTED, Fate.COMMITTED, Fate.SUPERSEDED, Fate.COMMITTED
    ]  # fmt: skip
    wanted = {change.before.id: change.edit.token for change in changes} | {late.before.id: quicker.edit.token}
    assert await tokens(house, store) == wanted
    assert (await store.spare(late.before.id))[1] == late.edit.token


async def test_a_group_that_arrived_without_our_hearing_is_written_and_counted_once(house, store, claims):
    changes = [house.rotation(claim) for claim in claims]
    await store.commit(changes)

    again = await store.commit(changes)

    assert [result.fate for result in again] == [Fate.COMMITTED] * MANY
    assert await tokens(house, store) == {change.before.id: change.edit.token for change in changes}
    assert await rotated(store) == 2 * MANY


async def test_what_is_not_routine_among_them_is_written_too_and_results_come_in_order(house, store, claims):
    changes = [house.rotation(claim) for claim in claims]
    changes[0] = house.doubt(claims[0])
    changes[2] = house.refusal(claims[2])
    assert [rows.is_routine(change) for change in changes] == [False, True, False, True]

    results = await store.commit(changes)

    assert [result.session.id for result in results] == [claim.session.id for claim in claims]
    assert [result.session.attempt for result in results] == [1, 0, 1, 0]
    assert await rotated(store) == MANY + 2


async def test_a_rotation_that_has_something_to_tell_is_not_routine(house, store, claims):
    change = house.rotation(claims[0])
    fact = event(EventKind.REVIVED, change.before, store.now(), by="test")

    [result] = await store.commit([replace(change, events=(fact,))])

    assert [told.kind for told in result.events] == [EventKind.REVIVED]
    assert EventKind.REVIVED in [told.kind for told in await store.events_of(change.before.id)]
