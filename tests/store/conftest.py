"""
A house for stores: one database, and as many processes over it as a test wants; the clock is moved by hand.

The contract (`test_contract_*.py`) speaks to a store only through `House`, and runs on every database there is: a
`House` for each knows how to open a store on it, how to look into it, and how a process dies there.
"""

import hashlib
import itertools
import json
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from aimkeeper.core.address import read_postgres
from aimkeeper.core.change import Change, Claim, Kind
from aimkeeper.core.cookies import Cookie, CookieDelta, Jar
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.outcome import InDoubt, Reason, Refused, Rotated
from aimkeeper.core.policy import Exchange, Policy, event, settle
from aimkeeper.core.session import Cause, Secrets, Session, Status
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.store.backend import Unwritable
from aimkeeper.store.beats import BeatingOwners
from aimkeeper.store.owners import LockingOwners
from aimkeeper.store.ownership import FileLocks
from aimkeeper.store.postgres import Postgres
from aimkeeper.store.seal import load_sealer
from aimkeeper.store.sqlite import Sqlite
from aimkeeper.store.store import Store
from aimkeeper.testing import ManualClock

BACKENDS = ["sqlite in threads", "sqlite inline", "postgres"]
# What a pooler could spoil: claims, commits, owners, and whatever happens to them in any order.
BEHIND_A_POOLER = {f"test_contract_{part}" for part in ("claims", "commits", "routine", "owners", "fleet")}

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
POLICY = Policy(refresh_every=15 * MINUTE, idle_timeout=90 * MINUTE, upstream_timeout=10 * SECOND)
DEVICE = Fingerprint("f" * 50)
PASSWORD = "correct horse battery"


class House:
    """One database, any number of processes over it, and sessions to put into it."""

    unwritable: type[Exception]

    def __init__(self, folder: Path, clock: ManualClock, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.clock = clock
        self.policy = POLICY
        self.secret_keys: str | None = None
        self.opened: list[Store] = []
        self._stack = stack
        self._tokens = itertools.count(1)

    # ------------------------------------------------------------ processes

    def store(self) -> Store:
        """A store as another process would have it, not yet open."""
        raise NotImplementedError

    def ask(self, sql: str, *values: object) -> list[tuple]:
        """What the tables hold, seen from outside."""
        raise NotImplementedError

    def on_disk(self) -> bytes:
        """Everything the database has on the disk."""
        raise NotImplementedError

    async def watch(self) -> None:
        """Everybody beats and looks around, as long as it takes to see who has died."""

    async def reap(self, store: Store) -> list[Event]:
        """Take from the dead what they held, as a worker does by the second."""
        return await store.owners.reap(stuck_before=self.clock.monotonic() - 60)

    async def bury(self, store: Store) -> list[Event]:
        """Both."""
        await self.watch()
        return await self.reap(store)

    async def take_from(self, store: Store, owner: str) -> list[Event]:
        """What *owner* holds is taken from it, as from one that was stopped; it may wake up later."""
        raise NotImplementedError

    def die(self, store: Store, owner: str) -> None:
        """As `kill -9` would have it: no more signs of life, and nothing was tidied up."""
        store.owners.abandon(owner)

    async def register(self, store: Store) -> list[str]:
        """Those who are not known to be dead."""
        return [owner.id for owner in await store.owners.everyone() if owner.dead_at is None]

    def tell(self, sql: str, *values: object) -> None:
        """Write into the tables behind the store's back."""
        self.ask(sql, *values)

    def sealers(self, store_is_sealed):
        return load_sealer(self.secret_keys, self.folder / "secret.key", store_is_sealed=store_is_sealed)

    async def open(self) -> Store:
        """Another process, as it were."""
        store = self.store()
        await store.open()
        self._stack.push_async_callback(store.close)
        self.opened.append(store)
        return store

    # ------------------------------------------------------------ sessions

    def token(self, account: int = 1) -> Token:
        """A token that was never seen before."""
        number = next(self._tokens)
        expires = int(self.clock.now().timestamp()) + 90 * 86400 + number
        return Token(f"{account}|{expires}|{hashlib.md5(f'{account} {number}'.encode()).hexdigest()}")

    def session(self, number: int = 1, **changes: object) -> Session:
        """Session *number*, as an adoption brings it: due now."""
        now = self.clock.now()
        jar = Jar((Cookie("amhrdrauth", f"auth-of-{number}", "aimharder.com", host_only=False),))
        made = Session(
            id=f"{number:08}-0000-4000-8000-000000000000",
            email=f"member{number:05}@example.com",
            fingerprint=DEVICE,
            secrets=Secrets(self.token(number), jar),
            created_at=now,
            rotated_at=now,
            due_at=now,
            deadline_at=now + POLICY.idle_timeout,
        )
        return replace(made, **changes)

    def fact(self, session: Session, kind: EventKind = EventKind.ADOPTED) -> Event:
        return event(kind, session, self.clock.now())

    async def keep(self, store: Store, *sessions: Session, replacing: bool = False) -> list[Session]:
        """Store *sessions*; as they are kept."""
        return [await store.put(session, self.fact(session), replacing=replacing) for session in sessions]

    async def fleet(self, store: Store, count: int, **changes: object) -> list[Session]:
        """*count* sessions, kept."""
        return await self.keep(store, *(self.session(number, **changes) for number in range(1, count + 1)))

    # ------------------------------------------------------------ changes

    def rotation(self, claim: Claim, token: Token | None = None, cookies: CookieDelta | None = None) -> Change:
        """What a good answer makes of a claimed session."""
        fresh = token or self.token(int(claim.session.account_key))
        return settle(claim, Rotated(fresh, cookies or CookieDelta()), POLICY, self.exchange())

    def doubt(self, claim: Claim) -> Change:
        """What no answer makes of it."""
        return settle(claim, InDoubt(Reason.TIMED_OUT), POLICY, self.exchange())

    def refusal(self, claim: Claim) -> Change:
        """What an answer makes of it that says: not now."""
        return settle(claim, Refused(Reason.RATE_LIMITED), POLICY, self.exchange())

    def verdict(self, claim: Claim, cause: Cause = Cause.SERVER_ENDED) -> Change:
        """The end, by the upstream's word: the secrets stay until the wipe."""
        now, held = self.clock.now(), claim.session
        after = replace(held, status=Status.ENDED, cause=cause, ended_at=now, due_at=None, wipe_at=now + 24 * HOUR)
        told = event(EventKind.ENDED, held, now, cause=cause.value)
        return Change(kind=Kind.ATTEMPT, before=held, after=after, claim=claim, events=(told,))

    def exchange(self, via: str = "token_update") -> Exchange:
        return Exchange(via, self.clock.now(), timedelta(milliseconds=120), 0.5)

    # ------------------------------------------------------------ the truth

    async def everyone(self, store: Store) -> list[Session]:
        """Every session, page by page."""
        found: list[Session] = []
        while page := await store.page(found[-1].key if found else None, 100):
            found += page
        return found

    def spares(self, session: Session) -> int:
        """How many tokens are put aside for it, counted."""
        return self.ask("SELECT count(*) FROM spares WHERE session_id = ?", session.id)[0][0]

    def facts(self, session: Session) -> list[tuple[str, dict]]:
        """What was written about it, the eldest first."""
        found = self.ask("SELECT kind, data FROM events WHERE session_id = ? ORDER BY id", session.id)
        return [(kind, json.loads(data)) for kind, data in found]

    def kinds(self, session: Session) -> list[str]:
        return [kind for kind, _ in self.facts(session)]


class SqliteHouse(House):
    """Locks prove life, at once and for certain."""

    unwritable = UnicodeEncodeError
    inline = False

    def __init__(self, folder: Path, clock: ManualClock, stack: AsyncExitStack) -> None:
        super().__init__(folder, clock, stack)
        self.path = folder / "aimkeeper.db"

    @property
    def place(self) -> str:
        return str(self.path)

    def store(self) -> Store:
        backend = Sqlite(self.path, inline=self.inline)
        owners = LockingOwners(backend, FileLocks(self.folder / "owners"), self.clock)
        return Store(backend, self.sealers, owners, self.clock, spool_folder=self.folder / "spool")

    async def take_from(self, store: Store, owner: str) -> list[Event]:
        self.clock.advance(120)
        return await self.bury(store)

    def ask(self, sql: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def on_disk(self) -> bytes:
        files = sorted(self.folder.glob(f"{self.path.name}*"))
        return b"".join(file.read_bytes() for file in files if file.is_file())

    def script(self, *statements: str) -> None:
        """Make something of the file that the store does not know of."""
        with closing(sqlite3.connect(self.path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def pragma(self, name: str, path: Path | None = None) -> object:
        """What SQLite says of the file."""
        with closing(sqlite3.connect(path or self.path)) as connection:
            return connection.execute(f"PRAGMA {name}").fetchone()[0]

    def files(self) -> dict[str, bytes]:
        """Every file in the folder, with what it holds."""
        return {file.name: file.read_bytes() for file in self.folder.rglob("*") if file.is_file()}


class InlineHouse(SqliteHouse):
    """The same, with SQL in the loop's own thread."""

    inline = True


class PostgresHouse(House):
    """Beats prove life; the clock that is moved by hand counts them, and stands in for the database's own."""

    unwritable = Unwritable
    pooled = False

    def __init__(self, folder: Path, clock: ManualClock, stack: AsyncExitStack, database) -> None:
        super().__init__(folder, clock, stack)
        self.database = database
        stack.callback(self.database.give_back)
        self.address = read_postgres(self.database.pooled_url if self.pooled else self.database.url)

    @property
    def place(self) -> str:
        return f"database {self.database.name} at 127.0.0.1:{self.address.port}"

    def store(self) -> Store:
        backend = Postgres(self.address, self.clock)
        owners = BeatingOwners(backend, self.clock)
        return Store(backend, self.sealers, owners, self.clock, spool_folder=self.folder / "spool")

    async def watch(self) -> None:
        for _ in range(7):
            for each in self.opened:
                await each.owners.beat()
            self.clock.advance(1)

    async def take_from(self, store: Store, owner: str) -> list[Event]:
        asleep = store.owners._ours.pop(owner)
        told = await self.bury(store)
        store.owners._ours[owner] = asleep
        return told

    def ask(self, sql: str, *values: object) -> list[tuple]:
        return self.database.ask(sql, *values)

    def blocking(self, sql: str):
        """A transaction of somebody else's that has run *sql*, until it is let go."""
        return self.database.blocking(sql)

    async def waiting(self, count: int) -> None:
        """Until so many statements wait for somebody's lock."""
        await self.database.waiting(count)

    def on_disk(self) -> bytes:
        return self.database.on_disk()


class PooledHouse(PostgresHouse):
    """The same, behind a pooler that gives each transaction another session."""

    pooled = True


HOUSES = {
    "sqlite in threads": SqliteHouse,
    "sqlite inline": InlineHouse,
    "postgres": PostgresHouse,
    "postgres behind a pooler": PooledHouse,
}


def pytest_generate_tests(metafunc):
    """The contract runs on every database; what is about one of them names it (`backend` of its module)."""
    named = any("backend" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "backend" in metafunc.fixturenames and not named and not hasattr(metafunc.module, "backend"):
        pooled = metafunc.module.__name__.rpartition(".")[2] in BEHIND_A_POOLER
        metafunc.parametrize("backend", [*BACKENDS, "postgres behind a pooler"] if pooled else BACKENDS, indirect=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def backend(request) -> str:
    return request.param


@pytest.fixture
def new_house(backend, request):
    """Builds a house in a folder, for tests that need many."""
    kind = HOUSES[backend]
    if issubclass(kind, PostgresHouse):
        server = request.getfixturevalue("postgres")
        looks_at_the_disk = "on_disk" in request.function.__code__.co_names
        return lambda folder, clock, stack: kind(folder, clock, stack, server.fresh(never_used=looks_at_the_disk))
    return kind


@pytest.fixture
async def house(new_house, tmp_path, clock):
    async with AsyncExitStack() as stack:
        yield new_house(tmp_path, clock, stack)


@pytest.fixture
async def store(house) -> Store:
    return await house.open()


@pytest.fixture
async def worker(store) -> str:
    """An owner that claims."""
    return await store.owners.enrol("a worker", "worker")


@pytest.fixture
async def rival(store) -> str:
    """Another one."""
    return await store.owners.enrol("another worker", "worker")


@pytest.fixture
async def app_house(postgres, tmp_path):
    """Builds a house whose table an app made, in a shape of `app_table.SHAPES`."""
    from tests.store.app_house import AppHouse  # noqa: PLC0415 (it is built on this very file)

    async with AsyncExitStack() as stack:
        yield lambda shape: AppHouse(tmp_path, stack, postgres.fresh("template0"), shape)
