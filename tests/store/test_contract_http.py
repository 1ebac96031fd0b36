"""What every store must show of what the HTTP API asks of it: tickets, counted tries, the feed, searches."""

import asyncio
from datetime import timedelta

import pytest

from aimkeeper.core.errors import SessionEnded, StoreUnavailable
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.session import Cause, Status
from aimkeeper.store.feed import Place
from aimkeeper.store.limits import Limit

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
WINDOW = 15 * MINUTE


def act(store, name):
    return Event(kind=EventKind.OPERATOR_ACTED, at=store.now(), data={"act": name})


BEGINNING = Place(0, 0)


async def told(store, place=BEGINNING, limit=1000):
    return [fact.data["act"] for _, fact in await store.http.feed.after(place, limit)]


# ------------------------------------------------------------ tickets


async def test_a_ticket_opens_its_session_until_its_time_is_over(house, store):
    [session] = await house.fleet(store, 1)
    secret = await store.http.members.issue(session.id, HOUR)
    during = await store.http.members.session_of(secret)
    house.clock.advance(3600)

    assert during == session.id
    assert await store.http.members.session_of(secret) is None


async def test_every_ticket_is_another_and_opens_in_every_process(house, store):
    [session] = await house.fleet(store, 1)
    secrets = {await store.http.members.issue(session.id, HOUR) for _ in range(5)}
    other = await house.open()

    assert len(secrets) == 5
    assert {await other.http.members.session_of(secret) for secret in secrets} == {session.id}
    assert await other.http.members.session_of("made up") is None


async def test_a_ticket_of_one_kind_is_none_of_the_other(house, store):
    [session] = await house.fleet(store, 1)
    member, bot = await store.http.members.issue(session.id, HOUR), await store.http.bots.issue(session.id, HOUR)

    assert await store.http.bots.session_of(member) is None
    assert await store.http.members.session_of(bot) is None


@pytest.mark.parametrize("gone", ["ended", "forgotten"])
async def test_for_a_session_that_is_gone_no_ticket_is_issued_for_it_would_open_the_next(house, store, gone):
    [session] = await house.fleet(store, 1)
    await store.end(session.id, Cause.LOGGED_OUT_HERE, store.now() + HOUR)
    if gone == "forgotten":
        await store.forget(session.id)

    with pytest.raises(SessionEnded, match="log in again"):
        await store.http.bots.issue(session.id, HOUR)


async def test_a_ticket_that_is_revoked_opens_nothing_and_the_others_still_do(house, store):
    one, other = await house.fleet(store, 2)
    revoked, kept = [await store.http.members.issue(one.id, HOUR) for _ in range(2)]
    elsewhere = await store.http.members.issue(other.id, HOUR)

    await store.http.members.revoke(revoked)
    opened = [await store.http.members.session_of(secret) for secret in (revoked, kept, elsewhere)]
    count = await store.http.members.revoke_all(one.id)

    assert opened == [None, one.id, other.id]
    assert (count, await store.http.members.revoke_all(one.id)) == (1, 0)
    assert [await store.http.members.session_of(secret) for secret in (kept, elsewhere)] == [None, other.id]


async def test_a_session_keeps_its_twenty_youngest_tickets_of_a_kind(house, store):
    [session] = await house.fleet(store, 1)
    bot = await store.http.bots.issue(session.id, HOUR)
    secrets = []
    for _ in range(25):
        house.clock.advance(1)
        secrets.append(await store.http.members.issue(session.id, HOUR))

    opened = [await store.http.members.session_of(secret) for secret in secrets]

    assert opened == [None] * 5 + [session.id] * 20
    assert await store.http.bots.session_of(bot) == session.id


async def test_a_session_that_is_forgotten_takes_its_tickets_with_it(house, store):
    [session] = await house.fleet(store, 1)
    await store.http.members.issue(session.id, HOUR)

    await store.forget(session.id)

    assert house.ask("SELECT count(*) FROM tickets") == [(0,)]


async def test_a_session_that_its_owner_ended_takes_its_tickets_with_it_and_no_others(house, store):
    one, other = await house.fleet(store, 2)
    gone = {kind: await kind.issue(one.id, HOUR) for kind in (store.http.members, store.http.bots)}
    kept = await store.http.bots.issue(other.id, HOUR)

    await store.end(one.id, Cause.LOGGED_OUT_HERE, store.now() + HOUR)

    assert [await kind.session_of(secret) for kind, secret in gone.items()] == [None, None]
    assert await store.http.bots.session_of(kept) == other.id


async def test_tickets_that_are_too_old_are_cleared_away(house, store):
    [session] = await house.fleet(store, 1)
    await store.http.members.issue(session.id, MINUTE)
    house.clock.advance(61)

    await store.http.bots.issue(session.id, MINUTE)

    assert house.ask("SELECT kind FROM tickets") == [("bot",)]


async def test_of_a_ticket_nothing_but_its_hash_is_on_the_disk(house, store):
    [session] = await house.fleet(store, 1)

    secret = await store.http.bots.issue(session.id, HOUR)

    assert secret.encode() not in house.on_disk()


# ------------------------------------------------------------ counted tries


async def test_so_many_tries_within_the_window_and_no_more(house, store):
    limit = (Limit("a", 3),)

    tries = [await store.http.limits.take(limit, WINDOW) for _ in range(4)]

    assert [one.left for one in tries] == [2, 1, 0, 0]
    assert [one.wait for one in tries] == [None, None, None, WINDOW]


async def test_a_try_counts_for_exactly_as_long_as_the_window_is(house, store):
    limit = (Limit("a", 2),)
    await store.http.limits.take(limit, WINDOW)
    house.clock.advance(600)
    await store.http.limits.take(limit, WINDOW)

    refused = await store.http.limits.take(limit, WINDOW)
    house.clock.advance(299)
    still = await store.http.limits.take(limit, WINDOW)
    house.clock.advance(1)
    free = await store.http.limits.take(limit, WINDOW)

    assert (refused.wait, still.wait, free.wait) == (5 * MINUTE, SECOND, None)
    assert free.left == 0


async def test_a_try_that_one_limit_refuses_counts_against_none(house, store):
    tight, loose = Limit("tight", 1), Limit("loose", 10)
    await store.http.limits.take((tight, loose), WINDOW)

    refused = [await store.http.limits.take((loose, tight), WINDOW) for _ in range(5)]

    assert all(one.wait for one in refused)
    assert (await store.http.limits.take((loose,), WINDOW)).left == 8


async def test_a_try_that_is_given_back_does_not_count_and_the_others_still_do(house, store):
    limit = (Limit("a", 2), Limit("b", 5))
    first, second = [await store.http.limits.take(limit, WINDOW) for _ in range(2)]

    await store.http.limits.give_back(limit, first)
    again = await store.http.limits.take(limit, WINDOW)
    await store.http.limits.give_back(limit, second)
    await store.http.limits.give_back(limit, again)

    assert again.wait is None
    assert house.ask("SELECT count(*) FROM limits") == [(0,)]


async def test_two_processes_can_not_both_take_the_last_try(house, store):
    other = await house.open()
    limit = (Limit("a", 5), Limit("b", 50))

    tries = await asyncio.gather(*(each.http.limits.take(limit, WINDOW) for _ in range(10) for each in (store, other)))

    assert sum(one.wait is None for one in tries) == 5
    assert sorted(one.left for one in tries if one.wait is None) == [0, 1, 2, 3, 4]


async def test_what_was_counted_can_be_forgotten(house, store):
    one, other = Limit("a", 1), Limit("b", 1)
    await store.http.limits.take((one, other), WINDOW)

    await store.http.limits.clear(one)

    assert (await store.http.limits.take((one,), WINDOW)).wait is None
    assert (await store.http.limits.take((other,), WINDOW)).wait is not None


async def test_what_is_counted_for_is_not_on_the_disk_and_goes_when_it_counts_no_more(house, store):
    await store.http.limits.take((Limit("login\0203.0.113.9\0ana@example.com", 5),), WINDOW)
    assert b"203.0.113.9" not in house.on_disk()
    assert b"ana@example.com" not in house.on_disk()
    house.clock.advance(901)

    await store.http.limits.take((Limit("another", 5),), WINDOW)

    assert house.ask("SELECT count(*) FROM limits") == [(1,)]


# ------------------------------------------------------------ the feed


async def test_the_feed_tells_everything_once_in_order_in_parts(store):
    for number in range(7):
        await store.http.feed.append([act(store, number)])

    seen, place = [], Place(0, 0)
    while lot := await store.http.feed.after(place, 3):
        seen += [fact.data["act"] for _, fact in lot]
        place = lot[-1][0]

    assert seen == list(range(7))


async def test_places_grow_and_each_is_where_the_next_look_goes_on(store):
    await store.http.feed.append([act(store, "a"), act(store, "b")])
    await store.http.feed.append([act(store, "c")])

    places = [place for place, _ in await store.http.feed.after(Place(0, 0), 10)]

    assert places == sorted(set(places))
    assert [await told(store, place) for place in places] == [["b", "c"], ["c"], []]


async def test_from_the_end_on_only_what_is_committed_later_is_told(house, store):
    await store.http.feed.append([act(store, "before")])
    end = await store.http.feed.end()

    await (await house.open()).http.feed.append([act(store, "after")])

    assert await told(store, end) == ["after"]


async def test_an_empty_feed_has_an_end_too(store):
    end = await store.http.feed.end()

    await store.http.feed.append([act(store, "first")])

    assert await told(store, end) == ["first"]


async def test_an_event_comes_out_as_it_went_in(house, store):
    [session] = await house.fleet(store, 1)

    [(_, fact)] = await store.http.feed.after(Place(0, 0), 10)

    assert (fact.kind, fact.session_id, fact.email) == (EventKind.ADOPTED, session.id, session.email)
    assert fact.at == house.clock.now()


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
async def test_nothing_is_skipped_when_transactions_commit_out_of_order(house, store):
    begin = await store.http.feed.end()
    slow = "INSERT INTO aimkeeper.events (at, kind, data) VALUES (now(), 'operator_acted', '{\"act\": \"slow\"}')"

    async with house.blocking(slow) as other:
        # The slow one has taken the lower place, and has not committed.
        await store.http.feed.append([act(store, "quick")])
        during = await store.http.feed.after(begin, 10)
        place = during[-1][0] if during else begin
        late_comer = await store.http.feed.end()
        await other()

    after = await told(store, place)
    assert during == []
    assert after == ["slow", "quick"]
    assert await told(store, late_comer) == ["slow", "quick"]


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
async def test_a_transaction_that_is_rolled_back_leaves_no_hole_that_is_waited_for(house, store):
    begin = await store.http.feed.end()
    slow = "INSERT INTO aimkeeper.events (at, kind, data) VALUES (now(), 'operator_acted', '{\"act\": \"undone\"}')"

    async with house.blocking(slow):
        await store.http.feed.append([act(store, "quick")])
    for _ in range(200):
        if seen := await told(store, begin):
            break
        await asyncio.sleep(0.01)

    assert seen == ["quick"]


# ------------------------------------------------------------ looking for sessions


async def test_many_who_ask_at_once_each_get_their_own_session_or_none(house, store):
    sessions = await house.fleet(store, 5)
    asked = [*(session.id for session in sessions), "00000000-0000-4000-8000-00000000ffff", sessions[0].id] * 10

    found = await asyncio.gather(*(store.http.get(session_id) for session_id in asked))

    assert [session.id if session else None for session in found[:7]] == [*asked[:5], None, sessions[0].id]
    assert found[0].token == sessions[0].token


async def test_whoever_asks_after_a_commit_sees_it(house, store, worker):
    [session] = await house.fleet(store, 1)
    await store.http.get(session.id)
    await store.commit([house.rotation(await store.claim_one(worker, session.id))])

    assert (await store.http.get(session.id)).generation == session.generation + 1


async def test_whoever_leaves_while_he_waits_takes_nobody_with_him(house, store):
    sessions = await house.fleet(store, 3)
    asking = [asyncio.create_task(store.http.get(session.id)) for session in sessions]
    await asyncio.sleep(0)

    asking[1].cancel()
    found = await asyncio.gather(*asking, return_exceptions=True)

    assert (found[0].id, found[2].id) == (sessions[0].id, sessions[2].id)
    assert isinstance(found[1], asyncio.CancelledError)


async def test_a_database_that_is_away_is_told_to_all_who_ask(house, store, monkeypatch):
    sessions = await house.fleet(store, 3)

    def away():
        raise StoreUnavailable("away.")

    monkeypatch.setattr(store.http._by_id._backend, "reading", away)
    found = await asyncio.gather(*(store.http.get(session.id) for session in sessions), return_exceptions=True)

    assert [str(error) for error in found] == ["away."] * 3


async def test_the_sessions_of_an_account_are_found_by_its_user_id(house, store):
    await house.fleet(store, 3)

    found = await store.http.of_account("2", 10)

    assert [session.email for session in found] == ["member00002@example.com"]
    assert await store.http.of_account("", 10) == []


@pytest.mark.parametrize(
    ("start", "found"),
    [
        ("member0000", [1, 2, 3]),
        ("member00002@example.com", [2]),
        ("ember", []),
        ("m%", []),
        ("m_mber", []),
        ("zzz", []),
        ("member00001@example.com!", []),
    ],
)
async def test_sessions_are_found_by_the_beginning_of_their_e_mail(house, store, start, found):
    await house.fleet(store, 3)

    sessions = await store.http.starting(start, None, 10, None)

    assert [session.email for session in sessions] == [f"member{number:05}@example.com" for number in found]


async def test_a_search_goes_on_where_the_page_before_ended_and_by_status_too(house, store, worker):
    sessions = await house.fleet(store, 6)
    await store.end(sessions[2].id, Cause.LOGGED_OUT_HERE, store.now() + HOUR)

    first = await store.http.starting("member", None, 4, None)
    rest = await store.http.starting("member", first[-1].key, 4, None)
    living = await store.http.starting("member", sessions[1].key, 2, Status.ACTIVE)

    assert [session.id for session in (*first, *rest)] == [session.id for session in sessions]
    assert [session.id for session in living] == [sessions[3].id, sessions[4].id]


async def test_ends_are_counted_since(house, store):
    one, other = await house.fleet(store, 2)
    await store.end(one.id, Cause.LOGGED_OUT_HERE, store.now() + HOUR)
    house.clock.advance(100)
    await store.end(other.id, Cause.LOGGED_OUT_HERE, store.now() + HOUR)

    assert await store.http.count_ends_since(store.now() - HOUR) == 2
    assert await store.http.count_ends_since(store.now() - SECOND) == 1
