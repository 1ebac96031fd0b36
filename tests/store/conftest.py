"""
A house for stores: one database, and as many processes over it as a test wants; the clock is moved by hand.

The contract (`test_contract_*.py`) speaks to a store only through `House`: another database joins by a line in
`BACKENDS` and a way to open it and to look into it.
"""

import hashlib
import itertools
import json
import sqlite3
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from aimkeeper.core.change import Change, Claim, Kind
from aimkeeper.core.cookies import Cookie, CookieDelta, Jar
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.outcome import InDoubt, Reason, Refused, Rotated
from aimkeeper.core.policy import Exchange, Policy, event, settle
from aimkeeper.core.session import Cause, Secrets, Session, Status
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.store.ownership import FileLocks
from aimkeeper.store.seal import load_sealer
from aimkeeper.store.sqlite import Sqlite
from aimkeeper.store.store import Store
from aimkeeper.testing import ManualClock

# How to open a store, and how to look into its tables behind its back.
BACKENDS = ["sqlite in threads", "sqlite inline"]

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
POLICY = Policy(refresh_every=15 * MINUTE, idle_timeout=90 * MINUTE, upstream_timeout=10 * SECOND)
DEVICE = Fingerprint("f" * 50)
PASSWORD = "correct horse battery"


class House:
    """One database, any number of processes over it, and sessions to put into it."""

    def __init__(self, folder: Path, clock: ManualClock, stack: AsyncExitStack, *, inline: bool) -> None:
        self.folder = folder
        self.path = folder / "aimkeeper.db"
        self.clock = clock
        self.policy = POLICY
        self.secret_keys: str | None = None
        self._stack = stack
        self._inline = inline
        self._tokens = itertools.count(1)

    # ------------------------------------------------------------ processes

    def store(self) -> Store:
        """A store as another process would have it, not yet open."""
        key_file = self.folder / "secret.key"

        def sealers(store_is_sealed):
            return load_sealer(self.secret_keys, key_file, store_is_sealed=store_is_sealed)

        locks = FileLocks(self.folder / "owners")
        backend = Sqlite(self.path, inline=self._inline)
        return Store(backend, sealers, locks, self.clock, spool_folder=self.folder / "spool")

    async def open(self) -> Store:
        """Another process, as it were."""
        store = self.store()
        await store.open()
        self._stack.push_async_callback(store.close)
        return store

    def ask(self, sql: str, *values: object) -> list[tuple]:
        """What the tables hold, seen from outside."""
        with closing(sqlite3.connect(self.path, timeout=10)) as connection:
            return connection.execute(sql, values).fetchall()

    def tell(self, sql: str, *values: object) -> None:
        """Write into the tables behind the store's back."""
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            connection.execute(sql, values)

    def on_disk(self) -> bytes:
        """Everything the database has on the disk."""
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


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=BACKENDS)
def backend(request) -> str:
    return request.param


@pytest.fixture
def new_house(backend):
    """Builds a house in a folder, for tests that need many."""
    return partial(House, inline=backend.endswith("inline"))


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
