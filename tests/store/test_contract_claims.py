"""What every store must show: who may take which session, and in which order."""

import asyncio
from datetime import timedelta

import pytest

from aimkeeper.core.session import Cause, Status

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


async def claim(store, owner, limit=100, *, until=None, eta=None):
    return await store.claim_due(owner, limit, until=until or store.now(), backlog_eta=eta)


def numbers(claims):
    """Which sessions were taken, by number."""
    return [int(claim.session.id[:8]) for claim in claims]


async def test_a_claim_names_its_owner_and_is_durable_before_it_is_used(house, store, worker):
    [session] = await house.fleet(store, 1)

    [taken] = await claim(store, worker)

    assert (taken.session.id, taken.owner, taken.taken_at) == (session.id, worker, house.clock.boottime())
    assert taken.session.token == session.token
    assert house.ask("SELECT owner, claim_id FROM auth_sessions") == [(worker, taken.claim_id)]
    assert (await store.get(session.id)).owner == worker


async def test_no_two_claims_are_alike_though_they_follow_one_another(house, store, worker):
    await house.fleet(store, 1)
    [first] = await claim(store, worker)
    await store.free(first)

    [second] = await claim(store, worker)

    assert second.claim_id != first.claim_id


async def test_nobody_claims_what_is_held_however_they_ask(house, store, worker, rival):
    [session] = await house.fleet(store, 1)
    await claim(store, worker)

    assert await claim(store, rival) == []
    assert await claim(store, rival, eta=store.now()) == []
    assert await store.claim_one(rival, session.id) is None
    assert await store.claim_one(worker, session.id) is None


async def test_what_is_not_yet_due_is_left_alone_and_what_is_due_in_that_very_instant_is_not(house, store, worker):
    await house.fleet(store, 1, due_at=store.now() + SECOND)
    assert await claim(store, worker) == []

    house.clock.advance(1)

    assert numbers(await claim(store, worker)) == [1]


async def test_no_more_are_claimed_than_asked_for_and_the_longest_due_go_first(house, store, worker):
    now = store.now()
    await house.keep(store, *(house.session(n, due_at=now - n * SECOND) for n in (1, 3, 2, 4, 5)))

    first, second = await claim(store, worker, 2), await claim(store, worker, 2)

    assert (set(numbers(first)), set(numbers(second))) == ({5, 4}, {3, 2})


async def test_those_in_doubt_go_before_those_longer_due(house, store, worker):
    await house.fleet(store, 3)
    doubted = await store.claim_one(worker, house.session(2).id)
    await store.commit([house.doubt(doubted)])
    house.clock.advance(10)

    first, rest = await claim(store, worker, 1), await claim(store, worker)

    assert (numbers(first), set(numbers(rest))) == ([2], {1, 3})


async def test_one_in_doubt_waits_for_its_time_like_any_other(house, store, worker):
    await house.fleet(store, 1)
    [held] = await claim(store, worker)
    await store.commit([house.doubt(held)])

    assert await claim(store, worker) == []


@pytest.mark.parametrize("minutes", [2, 600])
async def test_an_old_doubt_is_claimed_too_only_without_the_haste(house, store, worker, minutes):
    await house.fleet(store, 2)
    held = await store.claim_one(worker, house.session(2).id)
    await store.commit([house.doubt(held)])
    house.clock.advance(minutes * 60)

    assert numbers(await claim(store, worker, 1)) == [1]
    assert numbers(await claim(store, worker)) == [2]


async def test_in_a_backlog_the_earliest_deadline_that_can_still_be_met_goes_first(house, store, worker):
    now = store.now()
    deadlines = {1: -MINUTE, 2: 30 * MINUTE, 3: 10 * MINUTE, 4: -SECOND, 5: 20 * MINUTE}
    await house.keep(store, *(house.session(n, deadline_at=now + after) for n, after in deadlines.items()))

    first, second = await claim(store, worker, 1, eta=now), await claim(store, worker, 2, eta=now)

    assert (numbers(first), set(numbers(second))) == ([3], {5, 2})


async def test_in_a_backlog_the_hopeless_go_last_and_the_least_late_of_them_first(house, store, worker):
    now = store.now()
    deadlines = {1: -MINUTE, 2: 10 * MINUTE, 3: -SECOND, 4: timedelta(0)}
    await house.keep(store, *(house.session(n, deadline_at=now + after) for n, after in deadlines.items()))

    taken = [numbers(await claim(store, worker, 1, eta=now)) for _ in range(4)]

    assert taken == [[2], [4], [3], [1]]


async def test_the_hopeless_are_not_taken_along_while_a_living_one_is_due(house, store, worker):
    now = store.now()
    await house.keep(store, house.session(1, deadline_at=now + MINUTE), house.session(2, deadline_at=now - MINUTE))

    assert numbers(await claim(store, worker, 10, eta=now)) == [1]


async def test_who_will_die_before_an_answer_can_come_is_hopeless_already(house, store, worker):
    now = store.now()
    await house.keep(store, house.session(1, deadline_at=now + SECOND), house.session(2, deadline_at=now + MINUTE))

    assert numbers(await claim(store, worker, 10, eta=now + SECOND)) == [2]


async def test_in_a_backlog_too_what_is_not_yet_due_is_left_alone(house, store, worker):
    now = store.now()
    later = {"due_at": now + SECOND}
    await house.keep(store, house.session(1, **later), house.session(2, **later, deadline_at=now - MINUTE))

    assert await claim(store, worker, eta=now) == []


async def test_one_session_can_be_claimed_before_it_is_due(house, store, worker):
    await house.fleet(store, 1, due_at=store.now() + 10 * MINUTE)

    taken = await store.claim_one(worker, house.session(1).id)

    assert numbers([taken]) == [1]


async def test_nobody_claims_a_session_that_is_not_there(store, worker):
    assert await store.claim_one(worker, "nobody's") is None


async def test_an_ended_session_never_comes_due_and_is_claimed_by_nobody(house, store, worker):
    ended_upstream, ended_here = await house.fleet(store, 2)
    await store.commit([house.verdict(await store.claim_one(worker, ended_upstream.id))])
    await store.end(ended_here.id, Cause.LOGGED_OUT_HERE, store.now() + MINUTE)
    house.clock.advance(365 * 86400)

    assert await claim(store, worker) == []
    assert await claim(store, worker, eta=store.now()) == []
    assert [await store.claim_one(worker, session.id) for session in (ended_upstream, ended_here)] == [None, None]


async def test_a_claim_that_was_not_used_can_be_given_back(house, store, worker, rival):
    await house.fleet(store, 1)
    [taken] = await claim(store, worker)

    await store.free(taken)

    assert numbers(await claim(store, rival)) == [1]


async def test_a_claim_given_back_late_does_not_free_the_next_holders(house, store, worker, rival):
    await house.fleet(store, 1)
    [taken] = await claim(store, worker)
    await store.free(taken)
    [theirs] = await claim(store, rival)

    await store.free(taken)

    assert (await store.get(theirs.session.id)).owner == rival


@pytest.mark.parametrize("who", ["a stranger", "one who left"])
async def test_who_is_not_on_the_register_claims_nothing(house, store, worker, who):
    [session] = await house.fleet(store, 1)
    await store.owners.retire(worker)

    owner = worker if who == "one who left" else "stranger"

    assert await claim(store, owner) == []
    assert await claim(store, owner, eta=store.now()) == []
    assert await store.claim_one(owner, session.id) is None


async def test_an_owner_that_was_marked_dead_claims_nothing(house, store, worker):
    first, second = await house.fleet(store, 2)
    await store.claim_one(worker, first.id)

    await house.take_from(store, worker)

    assert await claim(store, worker) == []
    assert await claim(store, worker, eta=store.now()) == []
    assert await store.claim_one(worker, second.id) is None


async def test_each_session_goes_to_one_claimer_though_many_ask_at_once(house, store, worker):
    await house.fleet(store, 60)
    stores = [store, *[await house.open() for _ in range(3)]]
    owners = [worker, *[await each.owners.enrol("w", "worker") for each in stores[1:]]]

    async def work(one, owner):
        taken = []
        while claims := await claim(one, owner, 4):
            taken += numbers(claims)
            await asyncio.sleep(0)
        return taken

    shares = await asyncio.gather(*(work(one, owner) for one, owner in zip(stores, owners, strict=True)))

    assert sorted(number for share in shares for number in share) == list(range(1, 61))


async def test_next_due_looks_past_what_is_held_and_what_has_ended(house, store, worker):
    now = store.now()
    assert await store.next_due() is None
    await house.keep(store, *(house.session(n, due_at=now + n * MINUTE) for n in (1, 2, 3)))
    await store.claim_one(worker, house.session(1).id)
    await store.end(house.session(2).id, Cause.LOGGED_OUT_HERE, now)

    assert await store.next_due() == now + 3 * MINUTE


async def test_a_session_whose_row_can_not_be_read_holds_up_nobody(house, store, worker):
    await house.fleet(store, 3)
    house.tell("UPDATE auth_sessions SET sealed = x'01020304' WHERE id = ?", house.session(1).id)
    house.tell("UPDATE auth_sessions SET status = 'fine' WHERE id = ?", house.session(2).id)

    taken = await claim(store, worker)
    again = await claim(store, worker)

    assert (numbers(taken), again) == ([3], [])
    put_off = house.ask(
        "SELECT owner, attempt, last_token_update_error FROM auth_sessions WHERE id <> ?", house.session(3).id
    )
    assert put_off == [(None, 1, "unreadable_secrets")] * 2
    house.clock.advance(6 * 60)
    house.tell("UPDATE auth_sessions SET status = ? WHERE id = ?", Status.ACTIVE.value, house.session(2).id)
    assert numbers(await claim(store, worker)) == [2]
