"""A laptop's database moves to PostgreSQL: all of it arrives, and at no moment may both spend the same tokens."""

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from aimkeeper.core.errors import ConfigError, StoreUnavailable
from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause
from aimkeeper.store import whole
from aimkeeper.store.logins import LoginBook
from aimkeeper.store.queries import numbered
from aimkeeper.store.whole import EVENTS, LEFT_BEHIND, OTHERS, SESSIONS, SPARES, Moved

from .conftest import HOUR, PostgresHouse, SqliteHouse


@pytest.fixture
async def laptop(tmp_path, clock):
    (tmp_path / "laptop").mkdir()
    async with AsyncExitStack() as stack:
        house = SqliteHouse(tmp_path / "laptop", clock, stack)
        house.secret_keys = "k" * 43
        yield house


@pytest.fixture
async def cloud(tmp_path, clock, postgres):
    (tmp_path / "cloud").mkdir()
    async with AsyncExitStack() as stack:
        house = PostgresHouse(tmp_path / "cloud", clock, stack, postgres.fresh())
        house.secret_keys = "k" * 43
        yield house


@pytest.fixture
async def old(laptop):
    """A store with something of everything in it, and nobody at work."""
    store = await laptop.open()
    owner = await store.owners.enrol("worker", "worker")
    first, second, third, fourth = await laptop.fleet(store, 4, ref=None)
    for each in (first, second):
        await store.commit([laptop.rotation(await store.claim_one(owner, each.id))])
    await store.commit([laptop.doubt(await store.claim_one(owner, second.id))])
    await store.commit([laptop.verdict(await store.claim_one(owner, third.id))])
    await store.end(fourth.id, Cause.LOGGED_OUT_HERE, store.now() + 24 * HOUR)
    for _ in range(2):  # the token that is replaced becomes a spare
        await laptop.keep(store, laptop.session(5, ref="user-5", session_type="web"), replacing=True)
    await store.logins.begin(second.email, owner)
    await store.logins.finish(second.email, owner, LoginBook((store.now(),), store.now() + HOUR))
    await store.http.members.issue(second.id, HOUR)
    await store.owners.retire(owner)
    return store


@pytest.fixture
async def new(cloud):
    return await cloud.open()


async def everything(house, store):
    found = await house.everyone(store)
    spares = {session.id: await store.spare(session.id) for session in found}
    events = [[replace(fact, id=0) for fact in await store.events_of(session.id)] for session in found]
    books = [await store.logins.book(session.email) for session in found]
    return found, spares, events, books, await store.tallies(store.now() - HOUR)


# ------------------------------------------------------------ what arrives


async def test_everything_arrives_as_it_was_and_opens_with_the_same_key(laptop, cloud, old, new):
    before = await everything(laptop, old)

    moved = await old.whole.move_to(new.whole)

    assert moved == Moved(sessions=5, spares=1, events=laptop.ask("SELECT count(*) FROM events")[0][0])
    assert await everything(cloud, new) == before
    sessions, spares, *_ = before
    assert [session.status.value for session in sessions] == ["active", "in_doubt", "ended", "ended", "active"]
    assert any(spares.values())
    standing = await new.standing(new.now())
    assert standing.by_status == (await old.standing(old.now())).by_status
    assert standing.spares == 1


async def test_a_member_stays_signed_in(laptop, cloud, old, new):
    [first, *_] = await laptop.everyone(old)
    secret = await old.http.members.issue(first.id, HOUR)

    await old.whole.move_to(new.whole)

    assert await new.http.members.session_of(secret) == first.id


async def test_every_column_of_a_session_is_carried_or_says_who_holds_it_now(laptop, old):
    columns = {row[1] for row in laptop.ask("PRAGMA table_info(auth_sessions)")}

    carried = set(numbered()[SESSIONS.carry].names)

    assert columns - carried == {"owner", "claim_id", "claimed_at", "spares"}


async def test_every_table_is_carried_or_known_to_be_left_behind(laptop, old):
    tables = {name for (name,) in laptop.ask("SELECT name FROM sqlite_master WHERE type = 'table'")}
    tables.discard("sqlite_sequence")

    carried = {load.carry.removeprefix("carry_") for load in (SESSIONS, SPARES, EVENTS, *OTHERS)}

    assert tables - LEFT_BEHIND == carried - {"sessions"} | {"auth_sessions"}


async def test_more_than_a_page_arrives_and_is_counted_on_the_way(laptop, cloud, new, monkeypatch):
    monkeypatch.setattr(whole, "PAGE", 5)
    old = await laptop.open()
    await laptop.fleet(old, 12)
    told = []

    moved = await old.whole.move_to(new.whole, told.append)

    assert (moved.sessions, told) == (12, [5, 10, 12])
    assert len(await cloud.everyone(new)) == 12


async def test_what_was_paused_is_paused_there_too(old, new):
    await old.fleet.change(replace(await old.fleet.read(), paused_at=old.now()), None)

    await old.whole.move_to(new.whole)

    fleet = await new.fleet.read()
    assert (fleet.bar, fleet.is_paused(new.now())) == (None, True)


# ------------------------------------------------------------ one spends, the other does not


async def test_the_new_one_keeps_them_and_nothing_can_be_claimed_in_the_old_one(laptop, cloud, old, new):
    await old.whole.move_to(new.whole)

    there, here = await old.owners.enrol("worker", "worker"), await new.owners.enrol("worker", "worker")

    [first, *_] = await laptop.everyone(old)
    assert await old.claim_one(there, first.id) is None
    assert await old.claim_due(there, 10, until=old.now() + HOUR) == []
    assert f"moved to the {new}" in (await old.fleet.read()).bar
    assert await new.claim_one(here, first.id) is not None
    assert [fact.kind for fact in await old.fleet.events()] == [EventKind.STORE_MOVED]


async def test_where_it_breaks_off_the_old_one_goes_on_and_the_new_one_holds_nothing(laptop, cloud, old, new):
    cloud.tell("ALTER TABLE aimkeeper.tickets ADD COLUMN nobody_fills integer NOT NULL")

    with pytest.raises(Exception, match="can't be written"):
        await old.whole.move_to(new.whole)

    assert (await old.fleet.read()).bar is None
    assert await old.fleet.events() == []
    assert await cloud.everyone(new) == []
    cloud.tell("ALTER TABLE aimkeeper.tickets DROP COLUMN nobody_fills")
    assert (await old.whole.move_to(new.whole)).sessions == 5


class LostAnswer:
    """A backend whose commit arrives, and whose answer to it does not."""

    def __init__(self, backend, *, then_away: bool) -> None:
        self._backend = backend
        self._then_away = then_away
        self._loses = True
        self.is_away = False

    def __str__(self) -> str:
        return str(self._backend)

    def transaction(self):
        return self._losing()

    def reading(self):
        if self.is_away:
            raise StoreUnavailable("the database can't be used now.")
        return self._backend.reading()

    @asynccontextmanager
    async def _losing(self):
        async with self._backend.transaction() as tx:
            yield tx
        if self._loses:
            self._loses, self.is_away = False, self._then_away
            raise StoreUnavailable("the database can't be used now.")


async def test_an_answer_lost_on_the_way_changes_nothing(laptop, cloud, old, new):
    new.whole.backend = LostAnswer(new.whole.backend, then_away=False)

    moved = await old.whole.move_to(new.whole)

    assert moved.sessions == 5
    assert len(await cloud.everyone(new)) == 5
    assert (await old.fleet.read()).moved_to == str(new)


async def test_while_nobody_knows_whether_it_arrived_nothing_is_spent_and_the_same_command_finds_out(
    laptop, cloud, old, new
):
    new.whole.backend = lost = LostAnswer(new.whole.backend, then_away=True)

    with pytest.raises(StoreUnavailable, match=r"run the same command again when it is back\. Until then nothing"):
        await old.whole.move_to(new.whole)

    assert (await old.fleet.read()).moved_to == str(new)
    lost.is_away = False
    assert (await old.whole.move_to(new.whole)).sessions == 5
    assert len(await cloud.everyone(new)) == 5


async def test_a_move_that_was_killed_between_mark_and_commit_is_made_by_the_same_command(laptop, cloud, old, new):
    await old.whole._leave(str(new))

    assert (await old.whole.move_to(new.whole)).sessions == 5


async def test_a_database_that_keeps_others_takes_in_none(laptop, cloud, old, new):
    await cloud.keep(new, cloud.session(77))

    with pytest.raises(ConfigError, match="holds sessions already"):
        await old.whole.move_to(new.whole)

    assert (await old.fleet.read()).bar is None
    assert len(await cloud.everyone(new)) == 1


async def test_what_has_moved_moves_nowhere_else_until_it_is_taken_back(cloud, old, new, postgres):
    await old.whole.move_to(new.whole)
    async with AsyncExitStack() as stack:
        house = PostgresHouse(cloud.folder, cloud.clock, stack, postgres.fresh())
        house.secret_keys = cloud.secret_keys
        third = await house.open()

        with pytest.raises(ConfigError, match="moved to the"):
            await old.whole.move_to(third.whole)

        await old.fleet.take_over()
        assert (await old.whole.move_to(third.whole)).sessions == 5


async def test_a_session_that_is_being_rotated_is_not_torn_away(laptop, old, new):
    owner = await old.owners.enrol("worker", "worker")
    [first, *_] = await laptop.everyone(old)
    await old.claim_one(owner, first.id)

    with pytest.raises(ConfigError, match="being rotated"):
        await old.whole.move_to(new.whole)

    assert (await old.fleet.read()).bar is None
