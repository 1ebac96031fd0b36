"""Many processes at one shared database at the same moment: each thing happens once, nothing waits for a counter."""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper.core.change import SecretsEdit, touch
from aimkeeper.core.errors import AlreadyKept
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause, Handout, Status
from aimkeeper.store import commits
from aimkeeper.store.commits import Fate
from aimkeeper.store.feed import Place

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def backend():
    return "postgres"


@pytest.fixture
async def eight(house):
    """Eight processes, each with a worker."""
    stores = [await house.open() for _ in range(8)]
    return [(store, await store.owners.enrol("w", "worker")) for store in stores]


# ------------------------------------------------------------ claims


@pytest.mark.parametrize("way", ["steady", "backlog", "one by one"])
async def test_eight_connections_share_three_hundred_sessions_and_each_is_claimed_once(house, eight, way):
    store = eight[0][0]
    kept = await house.fleet(store, 300)
    now = store.now()

    async def work(each, owner):
        taken = []
        if way == "one by one":
            for session in random.Random(owner).sample(kept, 300):
                claim = await each.claim_one(owner, session.id)
                taken += [claim] if claim else []
            return taken
        eta = now if way == "backlog" else None
        while claims := await each.claim_due(owner, 7, until=now, backlog_eta=eta):
            assert len(claims) <= 7
            taken += claims
        return taken

    shares = await asyncio.gather(*(work(*one) for one in eight))

    taken = Counter(claim.session.id for share in shares for claim in share)
    assert taken == {session.id: 1 for session in kept}


async def test_a_claim_passes_over_what_another_is_about_to_take(house, store, worker):
    kept = await house.fleet(store, 3)
    async with house.blocking("SELECT 1 FROM auth_sessions WHERE user_email LIKE '%1@%' FOR UPDATE") as let_go:
        taken = await store.claim_due(worker, 5, until=store.now())
        await let_go()

    assert {claim.session.id for claim in taken} == {kept[1].id, kept[2].id}
    assert len(await store.claim_due(worker, 5, until=store.now())) == 1


async def test_doubts_and_the_due_together_are_no_more_than_asked_for(house, store, worker):
    await house.fleet(store, 6)
    for number in (1, 2, 3):
        await store.commit([house.doubt(await store.claim_one(worker, house.session(number).id))])
    house.clock.advance(5)

    sizes = [len(await store.claim_due(worker, 4, until=store.now())) for _ in range(2)]

    assert sizes == [4, 2]


# ------------------------------------------------------------ trips


async def test_a_claim_is_one_trip_however_many_it_takes(house, store, worker, trips):
    await house.fleet(store, 40)
    trips.clear()

    await store.claim_due(worker, 40, until=store.now())
    await store.claim_due(worker, 40, until=store.now(), backlog_eta=store.now())
    await store.claim_one(worker, house.session(1).id)

    assert trips == ["claim_steady", "claim_backlog", "claim_one"]


async def test_a_group_is_one_trip_for_each_kind_of_change_however_many_there_are(house, store, worker, trips):
    await house.fleet(store, 60)
    claims = await store.claim_due(worker, 60, until=store.now())
    trips.clear()

    await store.commit([house.rotation(claim) for claim in claims[:20]])
    assert trips == ["BEGIN", "commit_rotation", "add_tally", "COMMIT"]

    trips.clear()
    handed = [touch(claim.session, SecretsEdit(handouts=(Handout(b"h" * 32, 1.0),))) for claim in claims[50:]]
    rotations, doubts = [house.rotation(c) for c in claims[20:40]], [house.doubt(c) for c in claims[40:50]]
    await store.commit([*handed, *doubts, *rotations])
    assert trips == [
        "BEGIN",
        "commit_rotation",
        "commit_attempt",
        "commit_touch",
        "insert_event",
        "add_tally",
        "COMMIT",
    ]


async def test_a_transaction_in_which_nothing_is_asked_goes_nowhere(store, trips):
    trips.clear()

    assert await store.commit([]) == []

    assert trips == []


# ------------------------------------------------------------ commits


async def test_groups_that_cross_each_other_all_land_and_wait_in_no_circle(house, eight):
    store = eight[0][0]
    deadlocks = house.ask("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    kept = await house.fleet(store, 40)
    dice = random.Random(7)
    for _ in range(5):
        fresh = [await store.get(session.id) for session in kept]
        groups = []
        for number in range(8):
            chosen = dice.sample(fresh, 30)
            handout = Handout(dice.randbytes(32), float(number))
            groups.append([touch(session, SecretsEdit(handouts=(handout,))) for session in chosen])

        results = await asyncio.gather(*(each.commit(group) for (each, _), group in zip(eight, groups, strict=True)))

        assert {result.fate for group in results for result in group} == {Fate.COMMITTED}
        for session in kept:
            given = {h for group in groups for change in group if change.before.id == session.id
                     for h in change.edit.handouts}  # fmt: skip
            held = (await store.get(session.id)).secrets.handouts
            assert given <= set(held) or len(held) == 8
    await asyncio.gather(*(each._backend.close() for each, _ in eight))  # what they counted is told at their end
    await asyncio.sleep(0.1)
    assert house.ask("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == deadlocks


async def test_a_group_that_met_another_in_a_circle_is_tried_again_and_lands(house, store, worker, monkeypatch):
    first, second = await house.fleet(store, 2)
    doubted, rotated = [await store.claim_one(worker, each.id) for each in (first, second)]
    row = "SELECT 1 FROM auth_sessions WHERE id = '{}' FOR UPDATE"
    tries, let_in, real = Counter(), asyncio.Event(), commits._commit_each

    async def each(*given):
        tries["begun"] += 1
        if tries["begun"] > 1:
            await let_in.wait()  # a busy server may wake the other after we took the row once more: a second circle
        return await real(*given)

    monkeypatch.setattr(commits, "_commit_each", each)
    async with house.blocking(row.format(first.id)) as other:
        # Rotations are written before attempts: it holds the second row, and waits for the first.
        committing = asyncio.create_task(store.commit([house.doubt(doubted), house.rotation(rotated)]))
        await house.waiting(1)
        await other.also(row.format(second.id))
        let_in.set()
        await other()
        results = await committing

    assert tries["begun"] == 2
    assert {result.fate for result in results} == {Fate.COMMITTED}
    assert [(await store.get(each.id)).generation for each in (first, second)] == [1, 2]
    assert house.kinds(first) == ["adopted", "in_doubt"]


async def test_of_rotations_of_one_claim_that_arrive_at_once_one_wins_and_none_is_lost(house, eight):
    (store, owner), *_ = eight
    [session] = await house.fleet(store, 1)
    claim = await store.claim_one(owner, session.id)
    changes = [house.rotation(replace(claim, claim_id=f"{claim.claim_id}-{n}")) for n in range(8)]

    results = await asyncio.gather(*(each.commit([change]) for (each, _), change in zip(eight, changes, strict=True)))

    assert Counter(result.fate for [result] in results) == {Fate.COMMITTED: 1, Fate.SUPERSEDED: 7}
    kept = await store.get(session.id)
    assert (kept.generation, kept.spares, house.spares(session)) == (2, 7, 7)


async def test_a_rotation_and_a_login_at_once_keep_both_tokens_whoever_is_first(house, eight):
    (store, owner), (other, _), *_ = eight
    for number in range(1, 21):
        [session] = await house.keep(store, house.session(number))
        rotation = house.rotation(await store.claim_one(owner, session.id))
        login = house.session(number)

        await asyncio.gather(store.commit([rotation]), other.put(login, house.fact(login), replacing=True))

        kept = await store.get(session.id)
        assert kept.token == login.token
        assert kept.generation in (2, 3)
        tokens = {store._sealer.open(i, "spare", sealed).decode() for i, sealed in house.ask(
            "SELECT id, sealed FROM spares WHERE session_id::text = ?", session.id)}  # fmt: skip
        assert rotation.edit.token.text in tokens


async def test_a_pair_that_two_adopt_at_once_is_one_session(house, eight):
    for number in range(1, 11):
        sessions = [house.session(number, id=f"{number:08}-0000-4000-8000-{n:012}") for n in range(8)]

        outcomes = await asyncio.gather(
            *(each.put(session, house.fact(session), replacing=False)
              for (each, _), session in zip(eight, sessions, strict=True)),
            return_exceptions=True,
        )  # fmt: skip

        assert Counter(type(outcome).__name__ for outcome in outcomes) == {"Session": 1, AlreadyKept.__name__: 7}
        assert len(await eight[0][0].by_email(sessions[0].email)) == 1


async def test_a_ref_that_two_claim_at_once_belongs_to_one(house, eight):
    sessions = [house.session(number, ref="user-7") for number in range(1, 9)]

    outcomes = await asyncio.gather(
        *(each.put(one, house.fact(one), replacing=True) for (each, _), one in zip(eight, sessions, strict=True)),
        return_exceptions=True,
    )

    assert Counter(type(outcome).__name__ for outcome in outcomes) == {"Session": 1, AlreadyKept.__name__: 7}


async def test_an_end_by_its_owner_and_a_rotation_at_once_leave_no_token_behind(house, eight):
    (store, owner), (other, _), *_ = eight
    for number in range(1, 21):
        [session] = await house.keep(store, house.session(number))
        rotation = house.rotation(await store.claim_one(owner, session.id))

        await asyncio.gather(
            store.commit([rotation]), other.end(session.id, Cause.LOGGED_OUT_HERE, store.now() + MINUTE)
        )

        kept = await store.get(session.id)
        assert (kept.status, kept.secrets.token, kept.spares) == (Status.ENDED, None, 0)


async def test_what_is_revived_while_it_is_to_be_wiped_lives_whole_or_is_gone(house, eight):
    (store, owner), (other, _), *_ = eight
    kept = await house.fleet(store, 20)
    for session in kept:
        await store.commit([house.verdict(await store.claim_one(owner, session.id))])
    house.clock.advance(86400)

    _, *revived = await asyncio.gather(store.wipe(keep_rows=False), *(other.revive(each.id) for each in kept))
    await store.wipe(keep_rows=False)

    for session, again in zip(kept, revived, strict=True):
        left = await store.get(session.id)
        assert (left is None) == (again is None)
        assert left is None or left.token == session.token


# ------------------------------------------------------------ nothing waits for a counter


async def test_commits_wait_for_no_count_that_another_has_not_committed(house, store, worker):
    kept = await house.fleet(store, 4)
    claims = [await store.claim_one(worker, each.id) for each in kept]
    async with house.blocking("UPDATE auth_sessions SET status = 'in_doubt' WHERE user_email LIKE '%1@%'") as let_go:
        await store.commit([house.doubt(claims[1]), house.rotation(claims[2])])
        await house.keep(store, house.session(9))
        await store.forget(kept[3].id)
        standing = await store.standing(store.now())
        await let_go()

    assert standing.by_status == {Status.ACTIVE: 3, Status.IN_DOUBT: 1}
    assert (await store.standing(store.now())).by_status == {Status.ACTIVE: 2, Status.IN_DOUBT: 2}


async def test_commits_wait_for_no_tally_that_another_has_not_committed(house, store, worker):
    await house.fleet(store, 2)
    one, two = await store.claim_due(worker, 2, until=store.now())
    minute = int(store.now().timestamp()) // 60
    async with house.blocking(f"INSERT INTO tallies VALUES ({minute}, 'rotated', 100)") as let_go:
        await store.commit([house.rotation(one)])
        await let_go()
    await store.commit([house.rotation(two)])

    assert await store.tallies(store.now()) == {"rotated": 102}


async def test_folding_changes_no_sum_and_leaves_one_line_for_each(house, eight):
    store, owner = eight[0]
    for number in range(1, 31):
        [session] = await house.keep(store, house.session(number))
        claim = await store.claim_one(owner, session.id)
        await store.commit([house.doubt(claim) if number % 3 else house.rotation(claim)])
        house.clock.advance(7)
    since = store.now() - 60 * MINUTE
    counts, tallies = (await store.standing(store.now())).by_status, await store.tallies(since)

    await asyncio.gather(*(each.prune(before=since) for each, _ in eight))

    assert (await store.standing(store.now())).by_status == counts
    assert await store.tallies(since) == tallies
    assert len(house.ask("SELECT * FROM status_counts")) == len(counts)
    this_minute = int(store.now().timestamp()) // 60
    lines = house.ask("SELECT count(*) FROM tallies WHERE minute < ? GROUP BY minute, what", this_minute)
    assert set(lines) == {(1,)}


# ------------------------------------------------------------ the feed


async def test_the_feed_shows_nothing_that_an_earlier_transaction_may_yet_come_before(house, store):
    begun = await store.http.feed.end()
    async with house.blocking("INSERT INTO events (at, kind, data) VALUES (now(), 'paused', '{}')") as let_go:
        await store.record(replace(house.fact(house.session(1), EventKind.RESUMED), session_id=None))
        early = await store.http.feed.after(begun, 10)
        await let_go()

    late = await store.http.feed.after(begun, 10)
    assert early == []
    assert [fact.kind for _, fact in late] == [EventKind.PAUSED, EventKind.RESUMED]
    assert await store.http.feed.after(late[0][0], 10) == late[1:]
    assert await store.http.feed.after(late[1][0], 10) == []
    assert Place.parse(str(late[1][0])) == late[1][0]
