"""Answers that are lost, connections that are cut, a database that restarts: what was done once is not done twice."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.session import Cause
from aimkeeper.store.backend import Unwritable
from aimkeeper.store.claims import LOST_FOR
from aimkeeper.store.commits import Fate
from aimkeeper.store.lines import Line

DAY = timedelta(days=1)


@pytest.fixture
def backend():
    return "postgres"


@pytest.fixture
async def eight(house):
    """Eight processes, each with a worker."""
    stores = [await house.open() for _ in range(8)]
    return [(store, await store.owners.enrol("w", "worker")) for store in stores]


@pytest.fixture
def deaf(monkeypatch):
    """From now on the answer to one statement is lost, once: it was carried out all the same."""
    true_fetch, true_run = Line.fetch, Line.run

    def lose(name):
        async def fetch(self, asked, *arguments):
            answer = await true_fetch(self, asked, *arguments)
            return lost(self) if asked == name else answer

        async def run(self, commands, *arguments):
            answer = await true_run(self, commands, *arguments)
            return lost(self) if commands == name else answer

        def lost(line):
            monkeypatch.undo()
            line.hang_up()
            raise ConnectionResetError(104, "Connection reset by peer")

        monkeypatch.setattr(Line, "fetch", fetch)
        monkeypatch.setattr(Line, "run", run)

    return lose


async def test_what_was_claimed_without_our_hearing_is_given_back_at_the_next_claim(house, store, worker, deaf):
    first, second = await house.fleet(store, 2)
    deaf("claim_one")
    with pytest.raises(StoreUnavailable):
        await store.claim_one(worker, first.id)
    assert (await store.get(first.id)).owner == worker

    taken = await store.claim_one(worker, second.id)

    assert (await store.get(first.id)).owner is None
    assert (await store.get(second.id)).owner == worker
    assert (await store.claim_one(worker, first.id)).claim_id != taken.claim_id
    assert (await store.get(first.id)).owner == worker


async def test_a_lost_claim_is_given_back_again_for_as_long_as_it_may_still_be_on_its_way(house, store, worker, deaf):
    first, second = await house.fleet(store, 2)
    deaf("claim_one")
    with pytest.raises(StoreUnavailable):
        await store.claim_one(worker, first.id)
    lost_id = house.ask("SELECT claim_id FROM auth_sessions WHERE owner IS NOT NULL")[0][0]
    late = "UPDATE auth_sessions SET owner = ?, claim_id = ? WHERE id::text = ?"
    for seconds in (1, LOST_FOR - 1):
        house.clock.advance(seconds)
        house.tell(late, worker, lost_id, first.id)
        await store.claim_due(worker, 0, until=store.now())
        assert (await store.get(first.id)).owner is None

    house.tell(late, worker, lost_id, second.id)
    await store.claim_due(worker, 0, until=store.now())

    assert (await store.get(second.id)).owner == worker  # nobody asks about it any more


async def test_whoever_leaves_while_a_claim_is_under_way_leaves_none_behind(house, store, worker):
    [session] = await house.fleet(store, 1)
    async with house.blocking("SELECT 1 FROM auth_sessions FOR UPDATE") as let_go:
        claiming = asyncio.create_task(store.claim_one(worker, session.id))
        await house.waiting(1)
        claiming.cancel()
        await let_go()
        with pytest.raises(asyncio.CancelledError):
            await claiming

    assert (await store.get(session.id)).owner is None


async def test_a_group_whose_answer_was_lost_is_one_success_when_it_is_tried_again(house, store, worker, deaf):
    kept = await house.fleet(store, 5)
    changes = [house.rotation(claim) for claim in await store.claim_due(worker, 5, until=store.now())]
    await store.owners.beat()  # its connection is dialled by now
    deaf("COMMIT")
    with pytest.raises(StoreUnavailable, match="connection reset by peer"):
        await store.commit(changes)

    results = await store.commit(changes)

    assert {result.fate for result in results} == {Fate.COMMITTED}
    assert [(await store.get(each.id)).generation for each in kept] == [2] * 5
    assert await store.tallies(store.now()) == {"rotated": 5}


async def test_a_rotation_whose_answer_was_lost_is_no_spare_when_another_worker_has_gone_on_from_it(
    house, store, worker, deaf
):
    [session] = await house.fleet(store, 1)
    change = house.rotation(await store.claim_one(worker, session.id))
    await store.owners.beat()
    deaf("COMMIT")
    with pytest.raises(StoreUnavailable):
        await store.commit([change])
    other = await house.open()
    next_claim = await other.claim_one(await other.owners.enrol("w", "worker"), session.id)
    [gone_on] = await other.commit([house.rotation(next_claim)])

    [result] = await store.commit([change])

    now_kept = await store.get(session.id)
    assert (result.fate, result.events, now_kept.spares) == (Fate.COMMITTED, (), 0)
    assert (now_kept.generation, now_kept.token) == (3, gone_on.session.token)
    assert await store.tallies(store.now()) == {"rotated": 2}


async def test_a_group_that_was_broken_off_before_its_end_left_nothing(house, store, worker, deaf):
    [session] = await house.fleet(store, 1)
    change = house.rotation(await store.claim_one(worker, session.id))
    deaf("add_tally")
    with pytest.raises(StoreUnavailable):
        await store.commit([change])

    assert (await store.get(session.id)).generation == 1
    [result] = await store.commit([change])
    assert result.holds


async def test_a_connection_that_was_cut_while_nobody_used_it_is_not_noticed_by_anybody(house, store, worker):
    [session] = await house.fleet(store, 1)
    await asyncio.gather(*(store.get(session.id) for _ in range(5)))
    house.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
              " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip

    assert (await store.get(session.id)).id == session.id
    assert await store.end(session.id, Cause.LOGGED_OUT_HERE, store.now() + DAY)


class Rotating:
    """A worker that rotates what it claims, again and again, whatever becomes of the database."""

    def __init__(self, house, store, owner, landed):
        self.house, self.store, self.owner, self.landed = house, store, owner, landed
        self.stopping = False

    async def run(self):
        while not self.stopping:
            now = self.store.now()
            claims = await self.insist(self.store.claim_due, self.owner, 5, until=now)
            changes = [self.rotation(claim, now) for claim in claims]
            for change, result in zip(changes, await self.insist(self.store.commit, changes), strict=True):
                assert result.fate is Fate.COMMITTED
                known = self.landed[change.after.id]
                assert known.setdefault(change.after.generation, change.after.token) == change.after.token
            await asyncio.sleep(0)

    def rotation(self, claim, now):
        change = self.house.rotation(claim)
        return replace(change, after=replace(change.after, due_at=now))

    async def insist(self, verb, *arguments, **named):
        while True:
            try:
                return await verb(*arguments, **named)
            except StoreUnavailable:
                self.house.clock.advance(0.1)
                await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_tokens_outlive_a_database_that_is_restarted_again_and_again(house, eight, postgres):
    store = eight[0][0]
    kept = await house.fleet(store, 80)
    landed = {session.id: {session.generation: session.token} for session in kept}
    workers = [Rotating(house, each, owner, landed) for each, owner in eight]
    running = [asyncio.create_task(worker.run()) for worker in workers]

    for mode in ("fast", "immediate", "fast"):
        await asyncio.sleep(0.4)
        await asyncio.to_thread(postgres.stop, mode)
        await asyncio.to_thread(postgres.start)
    await asyncio.sleep(0.4)
    for worker in workers:
        worker.stopping = True
    await asyncio.gather(*running)

    assert sum(len(tokens) for tokens in landed.values()) > 2 * 80
    for session in kept:
        now_kept = await store.get(session.id)
        tokens = landed[session.id]
        assert (now_kept.generation, now_kept.token, now_kept.spares) == (len(tokens), tokens[len(tokens)], 0)


# ------------------------------------------------------------ lines


async def test_an_answer_that_does_not_come_is_given_up_and_its_connection_with_it(house, store, monkeypatch):
    [session] = await house.fleet(store, 1)
    monkeypatch.setattr("aimkeeper.store.lines.CALL_SECONDS", 0.2)
    async with house.blocking("LOCK TABLE auth_sessions IN ACCESS EXCLUSIVE MODE") as let_go:
        with pytest.raises(StoreUnavailable, match="does not answer in time"):
            await store.get(session.id)
        assert store._backend.lines._idle == []
        await let_go()

    assert (await store.get(session.id)).id == session.id


async def test_a_transaction_whose_connection_breaks_is_broken_off(house, store):
    async def broken():
        async with store._backend.transaction() as tx:
            await tx.row("set_meta", key="one", value="written")
            tx._line.hang_up()
            await tx.row("set_meta", key="two", value="written")

    with pytest.raises(StoreUnavailable, match="the connection is broken"):
        await broken()

    assert house.ask("SELECT key FROM meta WHERE value = 'written'") == []


async def test_a_transaction_that_the_server_broke_off_is_not_taken_for_committed(house, store):
    async def swallowing():
        async with store._backend.transaction() as tx:
            await tx.row("set_meta", key="one", value="written")
            with suppress(Unwritable):
                await tx.row("set_meta", key="two", value=None)

    with pytest.raises(StoreUnavailable, match="broken off"):
        await swallowing()

    assert house.ask("SELECT key FROM meta WHERE value = 'written'") == []


@pytest.mark.parametrize("how", ["an error", "a cancellation"])
async def test_what_was_begun_is_undone_and_its_connection_is_used_again(house, store, how):
    async def failing():
        async with store._backend.transaction() as tx:
            await tx.row("set_meta", key="one", value="written")
            raise ZeroDivisionError if how == "an error" else asyncio.CancelledError

    with pytest.raises((ZeroDivisionError, asyncio.CancelledError)):
        await failing()

    assert len(store._backend.lines._idle) == 1
    async with store._backend.transaction() as tx:
        await tx.row("set_meta", key="two", value="written")
    assert house.ask("SELECT key FROM meta WHERE value = 'written'") == [("two",)]


async def test_who_is_cancelled_while_it_is_being_committed_has_committed(house, store, monkeypatch):
    true_run, reached, opened = Line.run, asyncio.Event(), asyncio.Event()

    async def run(self, commands, *arguments):
        if commands == "COMMIT":
            reached.set()
        answer = await true_run(self, commands, *arguments)
        await opened.wait()
        return answer

    async def write():
        async with store._backend.transaction() as tx:
            await tx.row("set_meta", key="one", value="written")
            monkeypatch.setattr(Line, "run", run)

    await store.owners.beat()
    task = asyncio.create_task(write())
    await reached.wait()
    while not house.ask("SELECT key FROM meta WHERE value = 'written'"):
        await asyncio.sleep(0.001)
    task.cancel()
    opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert house.ask("SELECT key FROM meta WHERE value = 'written'") == [("one",)]


async def test_a_setting_of_the_server_s_that_goes_wrong_later_is_trouble_that_passes(house, store):
    [session] = await house.fleet(store, 1)
    name = house.database.name
    house.database.script(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    await store._backend.lines.close()
    with pytest.raises(StoreUnavailable, match="reset default_transaction_isolation"):
        await store.get(session.id)

    house.database.script(f"ALTER DATABASE {name} RESET default_transaction_isolation")
    house.clock.advance(1)

    assert (await store.get(session.id)).id == session.id


async def test_a_session_that_a_pooler_had_left_and_the_server_had_ended_is_dialled_past(house, store, monkeypatch):
    true_greet, greeted = store._backend.lines._greet, []

    async def greet(line):
        greeted.append(line)
        if len(greeted) == 1:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        await true_greet(line)

    monkeypatch.setattr(store._backend.lines, "_greet", greet)
    await store._backend.lines.close()

    await store.standing(store.now())

    assert [line.is_open for line in greeted] == [False, True]


async def test_a_connection_that_can_not_be_closed_in_good_order_is_hung_up(house, store, monkeypatch):
    async def fail(self):
        raise ConnectionResetError(104, "Connection reset by peer")

    [line] = store._backend.lines._idle
    monkeypatch.setattr(Line, "say_goodbye", fail)

    await store._backend.close()

    assert not line.is_open
