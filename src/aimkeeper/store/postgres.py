"""The shared store's engine: PostgreSQL, or a pooler before it in transaction mode. Supabase is a URL, not a class."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from aimkeeper.clock import Clock
from aimkeeper.core.address import PostgresAddress
from aimkeeper.core.errors import ConfigError, ForeignDatabase, StoreUnavailable
from aimkeeper.store.beats import Pulse
from aimkeeper.store.home import Home, ServerHome
from aimkeeper.store.lines import Line, Lines
from aimkeeper.store.plain import ADOPTED, Adopted
from aimkeeper.store.queries import Statement, migrations, numbered
from aimkeeper.store.refusals import told
from aimkeeper.store.rows import Params, Row

# Of one process, besides the one that beats. Few: a server has a hundred, some poolers sixty.
MOST_LINES = 5
# A beat that takes longer is given up: the next one may do better.
BEAT_CALL_SECONDS = 4.0
# After so many claims, what is over is struck off the list of claims.
PRUNE_EVERY = 16
OLDEST_SERVER = 130_000
_SCHEMA = "schema"

# asyncpg looks up how arrays are written when it meets the first of a type, and switches the session's `jit` off and on
# for it. That must happen in one session: behind a pooler nothing outside a transaction has arrays but of text.
# One trip. Every plan is made for an index, also where the server's numbers are old; rows are then locked in the order
# in which a statement names them. A transaction of a process that was stopped holds its rows for 15 s at most.
_BEGIN = """
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '5s';
SET LOCAL idle_in_transaction_session_timeout = '15s';
SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
SET LOCAL jit_above_cost = -1
"""
# For a session of our own, whose single statements begin no transaction. Among millions a claim looks dear enough to
# the planner to be compiled first: 40 ms each time. In UTC, for an app's own instants may name no zone.
_OF_OUR_OWN = """
SET synchronous_commit = on; SET lock_timeout = '5s'; SET TimeZone = 'UTC'; SET jit = off;
SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off
"""
_BEGIN_ADOPTED = f"{_BEGIN}; SET LOCAL TimeZone = 'UTC'"
_BEGIN_MIGRATION = """
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '10min'
"""
_MIGRATION_SECONDS = 700.0


class _Asked:
    """Named statements on one line, which is taken when the first is asked."""

    def __init__(self, backend: "Postgres", *, begin: str = "", alone: bool = False) -> None:
        self._lines = backend.lines
        self._address = backend.address
        self._statements = backend.statements()
        self._adopted = backend.adopted
        self._begin = begin
        self._alone = alone
        self._begun = False
        self._held = AsyncExitStack()
        self._line: Line | None = None

    async def rows(self, name: str, /, **params: Any) -> list[Row]:
        statement = self._statements[name]
        if statement.many:
            return [row for row in await self.each(name, [params]) if row is not None]
        return await self._fetch(name, [self._value(key, params[key]) for key in statement.names])

    async def row(self, name: str, /, **params: Any) -> Row | None:
        return next(iter(await self.rows(name, **params)), None)

    async def each(self, name: str, many: Sequence[Params]) -> list[Row | None]:
        brought: list[Row | None] = [None] * len(many)
        if many:
            for row in await self._fetch(name, self._columns(name, many)):
                brought[row[0] - 1] = tuple(row)[1:]
        return brought

    async def change_all(self, name: str, many: Sequence[Params], tally: Params) -> None:
        await self._fetch(name, [*self._columns(name, many), *(tally[key] for key in self._statements[name].once)])

    def _columns(self, name: str, many: Sequence[Params]) -> list[list[Any]]:
        """*many* sets of parameters as one list of values for each of the statement's."""
        names = self._statements[name].names
        columns = [[one[key] for one in many] for key in names]
        if self._adopted and "plain" in names:
            place = names.index("plain")
            columns[place] = [self._value("plain", given) for given in columns[place]]
        return columns

    def _value(self, key: str, given: Any) -> Any:
        """The one value that can't be made before it is known whose table it goes to."""
        return self._adopted.written(given) if key == "plain" and self._adopted else given

    async def commit(self) -> None:
        if self._line is not None and self._begun:
            with told(self._address):
                # What was broken off is answered by ROLLBACK, as if nothing were amiss.
                if await self._line.run("COMMIT") != "COMMIT":
                    raise StoreUnavailable(f"the {self._address} can't be used now: the transaction was broken off.")

    async def roll_back(self) -> None:
        if self._line is not None and not self._line.is_idle:
            with suppress(StoreUnavailable), told(self._address):
                await self._line.run("ROLLBACK")

    async def let_go(self) -> None:
        await self._held.aclose()

    async def _fetch(self, name: str, values: Sequence[Any]) -> list[Row]:
        with told(self._address):
            if self._line is not None:
                return await self._line.fetch(name, values)
            self._line = line = await self._held.enter_async_context(self._lines.line())
            try:
                return await self._first(line, name, values)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, ConnectionError):
                if line.is_open or line.is_fresh:
                    raise
            # It was cut while idle, by a restart or by a pooler that tidied up. Nothing was done on it, unless
            # it was cut just as a statement that is alone had been done: a commit finds that out by its rows, and of an
            # event there are two.
            await self._held.aclose()
            self._line = await self._held.enter_async_context(self._lines.line(fresh=True))
            return await self._first(self._line, name, values)

    async def _first(self, line: Line, name: str, values: Sequence[Any]) -> list[Row]:
        # A statement that is alone is a transaction anyway; but only a session of our own was told how to plan it.
        if self._begin and not (self._alone and line.direct):
            await line.run(self._begin)
            self._begun = True
        return await line.fetch(name, values)


class Postgres:
    """
    One PostgreSQL database.

    Args:
        heard: Told each time the database says what time it is: in seconds since 1970, and when we asked and heard it,
            in `Clock.boottime` seconds.

    Attributes:
        pending: How many calls are under way; a clock that is moved by hand may wait for them.
        adopted: What is to be known of a table of sessions that was not made here; None for one of our own.
    """

    dialect = "postgres"
    upkeep: tuple[str, ...] = ("fold_counts", "fold_tallies", "prune_owners")

    def __init__(
        self,
        address: PostgresAddress,
        clock: Clock,
        *,
        heard: Callable[[float, float, float], None] = lambda _told, _sent, _received: None,
    ) -> None:
        self.address = address
        self.home: Home = ServerHome()
        self.pending = 0
        self.adopted: Adopted | None = None
        self._clock = clock
        self._heard = heard
        self._claims = 0
        dial = partial(Lines, address, clock, statements=self.statements, greet=self._greet, counted=self._count)
        self.lines = dial(most=MOST_LINES)
        # Its own, so that a beat waits for no claim and no commit.
        self._heart = dial(most=1)

    def __str__(self) -> str:
        return str(self.address)

    @property
    def is_adopted(self) -> bool:
        return self.adopted is not None

    @property
    def one_per_email(self) -> bool:
        return self.adopted is not None and self.adopted.one_per_email

    def statements(self) -> dict[str, Statement]:
        """What may be asked here, by name."""
        return numbered(adopted=self.adopted is not None)

    async def open(self) -> None:
        try:
            with told(self.address):
                async with self.lines.line() as line:
                    # A pooler in statement mode refuses the one, and would let both pass together.
                    await line.run("BEGIN")
                    await line.run("COMMIT")
                    await self._migrate(line)
        except BaseException:
            await self.close()
            raise
        self.lines.is_proven = self._heart.is_proven = True

    async def schema(self) -> tuple[int, int]:
        try:
            with told(self.address):
                async with self.lines.line() as line:
                    return await self._judge(line), newest_schema()
        finally:
            await self.lines.close()

    async def close(self) -> None:
        await self.lines.close()
        await self._heart.close()

    @asynccontextmanager
    async def transaction(self, *, alone: bool = False) -> AsyncIterator[_Asked]:
        """
        A writing transaction; see `Backend`.

        Args:
            alone: There will be one statement only.
        """
        asked = _Asked(self, begin=_BEGIN_ADOPTED if self.adopted else _BEGIN, alone=alone)
        try:
            yield asked
            await asked.commit()
        except BaseException:
            await asked.roll_back()
            raise
        finally:
            await asked.let_go()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[_Asked]:
        asked = _Asked(self)
        try:
            yield asked
        finally:
            await asked.let_go()

    async def record(self, many: Sequence[Params]) -> None:
        async with self.transaction(alone=True) as tx:
            await tx.each("insert_event", many)

    async def claim(self, name: str, /, **params: Any) -> list[Row]:
        with told(self.address):
            async with self.lines.line() as line:
                self._claims += 1
                if self._claims % PRUNE_EVERY == 0:
                    await line.fetch("prune_claims", (params["owner"],))
                return await line.fetch(name, [params[key] for key in self.statements()[name].names])

    async def change_all(self, name: str, many: Sequence[Params], tally: Params) -> None:
        async with self.transaction(alone=True) as tx:
            await tx.change_all(name, many, tally)

    async def backup(self, target: Path) -> None:
        raise ConfigError(
            f"the {self.address} is backed up by PostgreSQL's own tool: "
            f'`pg_dump --format=custom --file={target} "$AIMKEEPER_DATABASE_URL"`.'
        )

    async def beat(self, owners: dict[str, int | None]) -> list[Pulse]:
        with told(self.address):
            async with self._heart.line() as line:
                sent_at = self._clock.boottime()
                ticks = [None if tick is None else str(tick) for tick in owners.values()]
                found = await line.fetch("beat", (list(owners), ticks), BEAT_CALL_SECONDS)
        self._heard(found[0][0] / 1e6, sent_at, self._clock.boottime())
        return [Pulse(owner, beat, is_dead, raised) for _, owner, beat, is_dead, raised in found if owner is not None]

    async def _greet(self, line: Line) -> None:
        sent_at = self._clock.boottime()
        [(process, version, encoding, read_only, isolation, told_at)] = await line.fetch("probe", ())
        self._heard(told_at / 1e6, sent_at, self._clock.boottime())
        straight = process == line.told_process
        if self.address.pooled is False and not straight:
            raise ConfigError(
                f"AIMKEEPER_DATABASE_URL says pgbouncer=false, but a pooler stands before the {self.address}: "
                "leave that out."
            )
        line.direct = straight and not self.address.pooled
        if line.direct:
            # Behind a pooler others would have it so too: there the role may be told (docs/scale.md).
            await line.run(_OF_OUR_OWN)
        if version < OLDEST_SERVER:
            raise ConfigError(f"the {self.address} is PostgreSQL {version // 10_000}: 13 is the oldest that will do.")
        if encoding != "UTF8":
            raise ConfigError(f"the {self.address} is encoded in {encoding}: create one with ENCODING 'UTF8'.")
        if isolation != "read committed":
            raise ConfigError(
                f"transactions of the {self.address} begin as {isolation}: reset default_transaction_isolation, "
                "for this role and for the database."
            )
        if read_only:
            raise StoreUnavailable(f"the {self.address} is read-only: name the server that may be written to.")

    async def _look_for_rows(self, line: Line) -> None:
        if (await line.fetch("hides_rows", ()))[0][0]:
            raise ConfigError(
                f"the role of AIMKEEPER_DATABASE_URL can see no row of auth_sessions in the {self.address} "
                "(row level security): connect as the role that owns the table."
            )

    async def _migrate(self, line: Line) -> None:
        if await self._judge(line) == newest_schema():
            return
        await line.run(_BEGIN_MIGRATION)
        try:
            await line.fetch("one_at_a_time", (), _MIGRATION_SECONDS)
            version = await self._judge(line)  # again: another process may have been at it while we waited
            for number, _name, text in migrations("postgres"):
                if number > version:
                    await line.run(text, _MIGRATION_SECONDS)
            await line.fetch("set_meta", (_SCHEMA, str(newest_schema())))
            await line.run("COMMIT")
        except BaseException:
            if line.is_open:
                with suppress(StoreUnavailable), told(self.address):
                    await line.run("ROLLBACK")
            raise

    async def _judge(self, line: Line) -> int:
        """The number of the last migration applied; 0 where nothing is there yet."""
        [(has_meta, has_sessions, has_anything)] = await line.fetch("whose", ())
        known = newest_schema()
        if not has_meta and has_sessions:
            raise ForeignDatabase(
                f"the {self.address} holds a table auth_sessions that aimkeeper did not make: "
                "`aimkeeper db adopt --dry-run` shows what sharing it would change."
            )
        if not has_meta and has_anything:
            raise ForeignDatabase(
                f"in the {self.address} the schema aimkeeper holds what aimkeeper did not make: "
                "choose another database."
            )
        if not has_meta:
            return 0
        if has_sessions:
            await self._look_for_rows(line)
        self.adopted = Adopted.read(await line.fetch("get_meta", (ADOPTED,)))
        found = await line.fetch("get_meta", (_SCHEMA,))
        version = int(found[0][0]) if found else 0
        if version > known:
            raise ForeignDatabase(
                f"the {self.address} was made by a newer aimkeeper (schema {version}, this one knows {known}): "
                "upgrade aimkeeper."
            )
        if version and not has_sessions:
            raise StoreUnavailable(f"the {self.address} has lost its table auth_sessions: restore a backup of it.")
        return version

    def _count(self, change: int) -> None:
        self.pending += change


def newest_schema() -> int:
    """The number of the last migration this version knows."""
    return migrations("postgres")[-1][0]
