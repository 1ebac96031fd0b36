"""What every store must show of what holds for all sessions at once, and of the accounts' automatic logins."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.fleet import Fleet
from aimkeeper.core.relogin import LoginBook
from aimkeeper.core.session import Cause, Status, Suspicion
from aimkeeper.store import fleet as fleet_module

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def paused(store):
    return Event(kind=EventKind.PAUSED, at=store.now())


async def end(house, store, worker, session, cause=Cause.SERVER_ENDED):
    await store.commit([house.verdict(await store.claim_one(worker, session.id), cause)])


async def suspect(house, store, worker, session):
    claim = await store.claim_one(worker, session.id)
    after = replace(
        claim.session,
        status=Status.SUSPECTED,
        suspicion=Suspicion(store.now(), store.now()),
        due_at=store.now() + MINUTE,
    )
    await store.commit([replace(house.verdict(claim), after=after, events=())])


# ------------------------------------------------------------ the one row


async def test_a_new_fleet_is_in_no_trouble(store):
    fleet = await store.fleet.read()

    assert fleet == Fleet(revision=fleet.revision)


async def test_everything_about_the_fleet_comes_back_as_it_was_written(house, store):
    now = store.now()
    fleet = await store.fleet.read()
    changed = replace(
        fleet,
        outage_at=now,
        recovered_at=now + SECOND,
        probe_at=now + 2 * SECOND,
        probe_gap=timedelta(milliseconds=1500),
        held_at=now + 3 * SECOND,
        throttled_until=now + 4 * SECOND,
        paused_at=now + 5 * SECOND,
        paused_until=now + 6 * SECOND,
    )

    assert await store.fleet.change(changed, paused(store))

    other = await house.open()
    assert await other.fleet.read() == replace(changed, revision=fleet.revision + 1)
    assert house.ask("SELECT kind FROM events") == [("paused",)]


async def test_one_of_those_who_change_it_at_once_wins_and_only_its_event_is_written(house, store):
    fleet = await store.fleet.read()
    others = [store, *[await house.open() for _ in range(3)]]
    changed = replace(fleet, paused_at=store.now())

    won = await asyncio.gather(*(other.fleet.change(changed, paused(store)) for other in others))

    assert sorted(won) == [False, False, False, True]
    assert len(house.ask("SELECT 1 FROM events")) == 1
    assert (await store.fleet.read()).revision == fleet.revision + 1


async def test_a_change_that_tells_nothing_is_possible(house, store):
    assert await store.fleet.change(await store.fleet.read(), None)

    assert house.ask("SELECT 1 FROM events") == []


async def test_what_happened_to_the_fleet_is_told_apart_from_what_happened_to_sessions(house, store):
    await house.fleet(store, 2)
    for kind in (EventKind.PAUSED, EventKind.RESUMED):
        await store.record(Event(kind=kind, at=store.now()))

    first, second = await store.fleet.events()

    assert (first.kind, second.kind) == (EventKind.PAUSED, EventKind.RESUMED)
    assert await store.fleet.events(after=first.id) == [second]
    assert await store.fleet.events(limit=1) == [first]


# ------------------------------------------------------------ many sessions because of it


async def test_verdicts_of_the_last_moments_can_be_recalled(house, store, worker):
    early, late, owners = await house.fleet(store, 3)
    await end(house, store, worker, early)
    house.clock.advance(60)
    await end(house, store, worker, late)
    await store.end(owners.id, Cause.LOGGED_OUT_HERE, store.now() + MINUTE)

    assert await store.fleet.recall_ends(store.now() - 10 * SECOND) == 1

    kept = await store.get(late.id)
    assert (kept.status, kept.cause, kept.ended_at, kept.wipe_at) == (Status.SUSPECTED, None, None, None)
    assert (kept.secrets, kept.due_at) == (late.secrets, store.now())
    assert house.facts(late)[-1] == ("suspected", {"generation": 1, "was": "ended"})
    assert [(await store.get(each.id)).status for each in (early, owners)] == [Status.ENDED] * 2


async def test_what_was_wiped_meanwhile_is_not_recalled(house, store, worker):
    [session] = await house.fleet(store, 1)
    await end(house, store, worker, session)
    house.clock.advance(86400)
    await store.wipe(keep_rows=True)

    assert await store.fleet.recall_ends(store.now() - timedelta(days=2)) == 0


async def test_the_suspected_are_tried_again_from_the_start_before_all_others(house, store, worker, monkeypatch):
    monkeypatch.setattr(fleet_module, "CHUNK", 2)
    kept = await house.fleet(store, 7)
    for each in kept[:5]:
        await suspect(house, store, worker, each)
    held = await store.claim_one(worker, kept[0].id)

    assert await store.fleet.retry_suspected() == 4

    assert (await store.get(held.session.id)).status is Status.SUSPECTED
    for each in kept[1:5]:
        again = await store.get(each.id)
        assert (again.status, again.suspicion, again.due_at) == (Status.IN_DOUBT, None, store.now())
    taken = await store.claim_due(worker, 4, until=store.now())
    assert {claim.session.id for claim in taken} == {each.id for each in kept[1:5]}


async def test_those_that_failed_are_tried_again_at_once(house, store, worker):
    failed, held, fine, ended = await house.fleet(store, 4)
    for each in (failed, held):
        await store.commit([house.refusal(await store.claim_one(worker, each.id))])
    await store.claim_one(worker, held.id)
    await store.commit([house.rotation(await store.claim_one(worker, fine.id))])
    await end(house, store, worker, ended)

    assert await store.fleet.retry_failing() == 1

    due = [(await store.get(each.id)).due_at == store.now() for each in (failed, held, fine, ended)]
    assert due == [True, False, False, False]


async def test_what_no_rule_can_have_put_off_so_long_is_made_due(house, store, worker, monkeypatch):
    monkeypatch.setattr(fleet_module, "CHUNK", 2)
    now = store.now()
    due = {1: 10 * MINUTE, 2: 15 * MINUTE, 3: 16 * MINUTE, 4: 61 * MINUTE, 5: 61 * MINUTE, 6: 16 * MINUTE}
    kept = await house.keep(store, *(house.session(n, due_at=now + after) for n, after in due.items()))
    failed = await store.claim_one(worker, kept[5].id)
    await store.commit(
        [replace(house.refusal(failed), after=replace(house.refusal(failed).after, due_at=now + 16 * MINUTE))]
    )
    await store.claim_one(worker, kept[4].id)

    count = await store.fleet.retriage(latest=now + 60 * MINUTE, latest_unfailed=now + 15 * MINUTE)

    due_now = [(await store.get(each.id)).due_at == now for each in kept]
    assert (count, due_now) == (2, [False, False, True, True, False, False])


# ------------------------------------------------------------ automatic logins


async def test_one_automatic_login_of_an_account_at_a_time(house, store, worker, rival):
    assert await store.logins.begin("ana@example.com", worker) == LoginBook()

    assert await store.logins.begin("ana@example.com", rival) is None
    assert await store.logins.begin("bea@example.com", rival) == LoginBook()


async def test_what_a_login_came_to_is_remembered_for_whoever_tries_next(house, store, worker, rival):
    now = store.now()
    book = LoginBook((now - MINUTE, now), now + 15 * MINUTE)
    await store.logins.begin("ana@example.com", worker)

    await store.logins.finish("ana@example.com", worker, book)

    assert await store.logins.book("ana@example.com") == book
    assert await store.logins.begin("ana@example.com", rival) == book
    assert await store.logins.book("nobody@example.com") == LoginBook()


async def test_who_lost_its_turn_can_not_finish_it(house, store, worker, rival):
    await store.logins.begin("ana@example.com", worker)

    await store.logins.finish("ana@example.com", rival, LoginBook((store.now(),)))

    assert await store.logins.begin("ana@example.com", rival) is None


@pytest.mark.parametrize("how", ["it died", "it went"])
async def test_an_owner_that_is_gone_logs_nobody_in(house, store, worker, rival, how):
    await store.logins.begin("ana@example.com", worker)

    if how == "it died":
        house.die(store, worker)
        await house.bury(store)
    else:
        await store.owners.retire(worker)

    assert await store.logins.begin("ana@example.com", rival) == LoginBook()
