"""A transaction is all or nothing: when it fails, when it is cancelled, and when SQLite itself breaks it off."""

import asyncio
import random
import sqlite3
import threading
from contextlib import closing

import pytest

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.store.sqlite import Sqlite


class Wrapped:
    """A connection of which one method does something else."""

    def __init__(self, connection, **methods):
        self._connection = connection
        self.__dict__.update(methods)

    def __getattr__(self, name):
        return getattr(self._connection, name)


@pytest.fixture
async def backend(tmp_path):
    opened = Sqlite(tmp_path / "aimkeeper.db")
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def gate(backend):
    """A statement that writes the key `slow` waits in its thread until the gate opens; `reached` says it is there."""
    opened, reached = threading.Event(), threading.Event()

    def wait():
        reached.set()
        assert opened.wait(30)

    backend._writer.create_function("wait_at_the_gate", 0, wait)
    backend._writer.execute(
        "CREATE TEMP TRIGGER slow BEFORE INSERT ON meta WHEN new.key = 'slow' BEGIN SELECT wait_at_the_gate(); END"
    )
    opened.reached = reached
    yield opened
    opened.set()


async def write(backend, *keys):
    async with backend.transaction() as tx:
        for key in keys:
            await tx.row("set_meta", key=key, value="written")


def written(backend):
    """What another process sees."""
    with closing(sqlite3.connect(backend.path)) as connection:
        return {row[0] for row in connection.execute("SELECT key FROM meta WHERE value = 'written'")}


async def turn_until(condition):
    """Let the loop turn until another thread has made *condition* true."""
    while not condition():
        await asyncio.sleep(0.0005)


async def turn():
    """Let the loop do all that it can do now."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_what_is_written_is_there_once_the_transaction_is_over_and_not_before(backend):
    async with backend.transaction() as tx:
        await tx.row("set_meta", key="one", value="written")
        assert written(backend) == set()

    assert written(backend) == {"one"}


async def test_an_error_inside_undoes_everything(backend):
    async def failing():
        async with backend.transaction() as tx:
            await tx.row("set_meta", key="one", value="written")
            await tx.each("set_meta", [{"key": "two", "value": "written"}])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()

    await write(backend, "three")
    assert written(backend) == {"three"}


async def test_a_statement_that_breaks_a_rule_undoes_everything_and_says_so_as_it_is(backend):
    async def wrong():
        async with backend.transaction() as tx:
            await tx.row("set_meta", key="one", value="written")
            await tx.row("set_meta", key="two", value=None)

    with pytest.raises(sqlite3.IntegrityError):
        await wrong()

    assert written(backend) == set()


async def test_a_transaction_in_which_nothing_is_done_is_nothing(backend):
    async with backend.transaction():
        pass

    assert not backend._writer.in_transaction


async def test_a_cancellation_between_two_statements_undoes_everything(backend):
    waiting = asyncio.Event()

    async def halfway():
        async with backend.transaction() as tx:
            await tx.row("set_meta", key="one", value="written")
            waiting.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(halfway())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await write(backend, "two")
    assert written(backend) == {"two"}


@pytest.mark.parametrize("times", [1, 3], ids=["once", "three times"])
async def test_a_cancellation_while_a_statement_runs_waits_for_it_and_undoes_everything(backend, gate, times):
    task = asyncio.create_task(write(backend, "one", "slow"))
    await turn_until(gate.reached.is_set)
    following = asyncio.create_task(write(backend, "two"))

    for _ in range(times):
        task.cancel()
        await turn()
    assert not task.done()
    assert not following.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await following

    assert written(backend) == {"two"}


async def test_a_cancellation_while_it_waits_for_another_process_leaves_nothing_behind(backend):
    with closing(sqlite3.connect(backend.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(write(backend, "one"))
        await turn_until(lambda: backend.pending)
        task.cancel()
        await turn()
        other.execute("ROLLBACK")

    with pytest.raises(asyncio.CancelledError):
        await task
    await write(backend, "two")
    assert written(backend) == {"two"}


async def test_a_cancellation_during_the_rollback_does_not_leave_it_undone(backend):
    opened, reached = threading.Event(), threading.Event()
    real = backend._writer

    def rollback():
        if real.in_transaction:
            reached.set()
            assert opened.wait(30)
        real.rollback()

    backend._writer = Wrapped(real, rollback=rollback)

    async def failing():
        async with backend.transaction() as tx:
            await tx.row("set_meta", key="one", value="written")
            raise ZeroDivisionError

    task = asyncio.create_task(failing())
    await turn_until(reached.is_set)
    following = asyncio.create_task(write(backend, "two"))
    task.cancel()
    await turn()
    assert not following.done()
    opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await following

    assert written(backend) == {"two"}


async def test_who_is_cancelled_while_it_is_being_committed_has_committed(backend):
    opened, reached = threading.Event(), threading.Event()
    real = backend._writer

    def commit():
        reached.set()
        assert opened.wait(30)
        real.commit()

    backend._writer = Wrapped(real, commit=commit)
    task = asyncio.create_task(write(backend, "one"))
    await turn_until(reached.is_set)
    following = asyncio.create_task(write(backend, "two"))
    task.cancel()
    await turn()
    assert written(backend) == set()
    opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await following

    assert written(backend) == {"one", "two"}


async def test_a_cancelled_reader_waits_for_its_statement_too(backend):
    opened, reached = threading.Event(), threading.Event()
    real = backend._reader

    def execute(*arguments):
        reached.set()
        assert opened.wait(30)
        return real.execute(*arguments)

    backend._reader = Wrapped(real, execute=execute)

    async def read():
        async with backend.reading() as tx:
            return await tx.rows("owners")

    task = asyncio.create_task(read())
    await turn_until(reached.is_set)
    task.cancel()
    await turn()
    assert not task.done()
    opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await read() == []
    assert backend.pending == 0


async def test_a_timeout_round_a_transaction_is_a_timeout(backend, gate):
    limits = []

    async def hurried():
        async with asyncio.timeout(None) as limit:
            limits.append(limit)
            await write(backend, "one", "slow")

    task = asyncio.create_task(hurried())
    await turn_until(gate.reached.is_set)
    limits[0].reschedule(0)
    await turn()
    gate.set()
    with pytest.raises(TimeoutError):
        await task

    assert written(backend) == set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
async def test_pairs_are_written_whole_or_not_at_all_whoever_is_cancelled_whenever(backend, seed):
    dice = random.Random(seed)
    finished = set()

    async def pair(number):
        async with backend.transaction() as tx:
            await tx.row("set_meta", key=f"{number} a", value="written")
            await asyncio.sleep(dice.choice([0, 0, 0.0005]))
            await tx.row("set_meta", key=f"{number} b", value="written")
        finished.add(number)

    tasks = [asyncio.create_task(pair(number)) for number in range(150)]
    while not all(task.done() for task in tasks):
        dice.choice(tasks).cancel()
        await asyncio.sleep(dice.choice([0, 0.0002, 0.001]))
    await asyncio.gather(*tasks, return_exceptions=True)

    keys = written(backend)
    halves = [{key.split()[0] for key in keys if key.endswith(end)} for end in "ab"]
    assert halves[0] == halves[1]
    assert finished <= {int(number) for number in halves[0]}
    assert 0 < len(finished) < 150


@pytest.mark.parametrize(
    "error", [sqlite3.OperationalError("disk I/O error"), sqlite3.DatabaseError("database disk image is malformed")]
)
async def test_a_commit_that_fails_is_undone_and_told(backend, error):
    real = backend._writer

    def commit():
        raise error

    backend._writer = Wrapped(real, commit=commit)
    with pytest.raises(StoreUnavailable):
        await write(backend, "one")
    backend._writer = real

    assert not real.in_transaction
    await write(backend, "two")
    assert written(backend) == {"two"}


async def test_what_a_failed_rollback_left_behind_is_not_carried_on(backend):
    real = backend._writer

    def rollback():
        raise sqlite3.OperationalError("disk I/O error")

    async def failing():
        async with backend.transaction() as tx:
            await tx.row("set_meta", key="one", value="written")
            backend._writer = Wrapped(real, rollback=rollback)
            tx._connection.rollback = rollback
            raise ZeroDivisionError

    backend._writer = Wrapped(real)
    with pytest.raises(ZeroDivisionError):
        await failing()
    backend._writer = real
    assert real.in_transaction

    await write(backend, "two")

    assert written(backend) == {"two"}


async def test_after_sqlite_broke_it_off_nothing_more_is_written(backend):
    async def broken_off():
        async with backend.transaction() as tx:
            await tx.row("set_meta", key="one", value="written")
            await backend._call(backend._writing, backend._writer.rollback)
            await tx.row("set_meta", key="two", value="written")

    with pytest.raises(StoreUnavailable, match="broken off"):
        await broken_off()

    assert written(backend) == set()


async def test_transactions_take_turns(backend):
    steps = []

    async def one(name):
        async with backend.transaction() as tx:
            steps.append(f"{name} in")
            await tx.row("set_meta", key=name, value="written")
            await asyncio.sleep(0.001)
            steps.append(f"{name} out")

    await asyncio.gather(one("a"), one("b"), one("c"))

    assert steps == ["a in", "a out", "b in", "b out", "c in", "c out"]


async def test_readers_do_not_wait_for_a_writer_and_see_what_was_there_before(backend, gate):
    task = asyncio.create_task(write(backend, "one", "slow"))
    await turn_until(gate.reached.is_set)

    async with backend.reading() as tx:
        assert await tx.row("get_meta", key="one") is None

    gate.set()
    await task
    async with backend.reading() as tx:
        assert await tx.row("get_meta", key="one") == ("written",)


async def test_closing_waits_for_what_is_under_way(backend, gate):
    task = asyncio.create_task(write(backend, "slow"))
    await turn_until(gate.reached.is_set)

    closing_it = asyncio.create_task(backend.close())
    await turn()
    assert not closing_it.done()
    gate.set()
    await asyncio.gather(task, closing_it)

    assert written(backend) == {"slow"}
