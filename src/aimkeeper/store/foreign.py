"""
A table of sessions that another program made: shared with it, taken over, given back.

Shared, the app goes on with its own statements; tokens stay readable where it reads them, and what it writes is heeded
by triggers (`sql/foreign/heed.sql`). Taken over, the table is as one of our own, but for the app's columns. Each step
may be broken off at any moment: run again, it goes on where it was.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import asyncpg

from aimkeeper.clock import Clock
from aimkeeper.core.errors import ConfigError, ForeignDatabase, StoreUnavailable
from aimkeeper.core.session import Session
from aimkeeper.store import rows
from aimkeeper.store.lines import Line
from aimkeeper.store.plain import ADOPTED, Rules
from aimkeeper.store.postgres import Postgres, newest_schema
from aimkeeper.store.queries import migrations, script
from aimkeeper.store.refusals import told
from aimkeeper.store.shape import OURS, Census, Shape

if TYPE_CHECKING:
    from aimkeeper.store.store import Store

# Nobody waits longer than this behind us; we try again so often.
LOCK_SECONDS = 3
TRIES, BETWEEN_TRIES = 5, 1.0
SCRIPT_SECONDS = 700.0
CHUNK = 500
# The stale ones are tried one by one, so far apart on average, but all within a day.
STALE_EVERY, STALE_WITHIN = timedelta(seconds=10), timedelta(hours=24)
# Whoever beat this lately is alive.
ALIVE_SECONDS = 10

_MADE_HERE = re.compile(r"^-- made here.*?^-- end of what is made here$", re.DOTALL | re.MULTILINE)
_BEGIN = f"""
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '{LOCK_SECONDS}s'; SET LOCAL statement_timeout = '10min';
SET LOCAL TimeZone = 'UTC'
"""


class Mode(StrEnum):
    """Whose the table is."""

    ABSENT = "absent"
    OURS = "ours"
    FOREIGN = "foreign"
    SHARED = "shared"
    EXCLUSIVE = "exclusive"


@dataclass(frozen=True, slots=True)
class Found:
    """
    The table as it was found.

    Attributes:
        shape, census: None where there is no table of another program's.
    """

    mode: Mode
    shape: Shape | None = None
    census: Census | None = None


class Foreign:
    """
    Adoption, and the way back.

    Args:
        store: Over the same *backend*, not open.
        max_rate: Rotations that the whole fleet may start, per second.
    """

    def __init__(self, store: "Store", backend: Postgres, clock: Clock, rules: Rules, *, max_rate: float) -> None:
        self._store = store
        self._backend = backend
        self._clock = clock
        self._rules = rules
        self._max_rate = max_rate

    async def look(self) -> Found:
        """
        See whose the table is; changes nothing.

        Raises:
            ConfigError: It is another program's, and aimkeeper can't live in it.
            StoreUnavailable
        """
        try:
            with told(self._backend.address):
                async with self._backend.lines.line() as line:
                    return await self._look(line)
        finally:
            await self._backend.close()

    async def share(self, found: Found) -> int:
        """
        Add what we need, and take every row in; how many were taken in just now.

        Raises:
            ConfigError, StoreUnavailable
        """
        if found.mode is Mode.FOREIGN:
            self.refuse_what_cannot_be(found)
            await self._alone(lambda line: self._share(line, found))
        return await self._take_in(found)

    async def take_over(self, found: Found, progress: Callable[[int], None] = lambda _done: None) -> tuple[int, bool]:
        """
        Make the table, shared so far, ours alone, and seal what stands readable in it.

        Returns:
            How many rows were sealed, and whether the old versions of them are gone from the table's files.

        Raises:
            ConfigError: A process of ours is using it, or its rows can't be told apart.
            StoreUnavailable
        """
        await self._refuse_while_used()
        if found.mode is not Mode.EXCLUSIVE:
            await self._alone(lambda line: self._run(line, "take_over"))
        sealed = await self._move("readable", progress)
        return sealed, await self._vacuum() if sealed else True

    async def give_back(self, found: Found, progress: Callable[[int], None] = lambda _done: None) -> int:
        """
        Write the secrets where the app reads them, and take away all that we added; how many were unsealed.

        Raises:
            KeyProblem: A row can't be opened. Nothing was changed.
            ConfigError: A process of ours is using it, or its rows no longer fit the app's own rules.
            StoreUnavailable
        """
        await self._refuse_while_used()
        await self._refuse_what_does_not_fit(found)
        if found.mode is Mode.EXCLUSIVE:
            async with self._opened():
                await self._prove_that_all_opens()
                async with self._backend.transaction() as tx:
                    await tx.row("set_rules", rules=json.dumps({"mode": Mode.SHARED}))
        unsealed = await self._move("sealed_only", progress)
        await self._alone(self._give_back)
        return unsealed

    def statements(self, found: Found, *, exclusive: bool) -> list[str]:
        """What adoption would run, as it stands."""
        texts = [*_changes(), script("heed")] if found.mode is Mode.FOREIGN else []
        return [*texts, *([script("take_over")] if exclusive and found.mode is not Mode.EXCLUSIVE else [])]

    def refuse_what_cannot_be(self, found: Found) -> None:
        """
        See that every row could be kept.

        Raises:
            ConfigError: They could not.
        """
        assert found.shape is not None
        assert found.census is not None
        lacking = found.census.without_fingerprint
        if self._rules.fingerprint is None and (lacking or "fingerprint" not in found.shape.columns):
            raise ConfigError(
                f"{lacking} sessions have no fingerprint: set AIMHARDER_FINGERPRINT to the one that the app uses."
            )
        if found.census.doubled and not found.shape.one_per_pair:
            raise ConfigError(
                f"{found.census.doubled} rows of auth_sessions have the e-mail and the fingerprint of another row: "
                "keep the newest of each, then run this again."
            )

    async def _look(self, line: Line) -> Found:
        [(has_meta, has_sessions, has_anything)] = await line.fetch("whose", ())
        if has_meta:
            rules = await line.fetch("get_meta", (ADOPTED,))
            mode = Mode(json.loads(rules[0][0])["mode"]) if rules else Mode.OURS
            return Found(mode) if mode is Mode.OURS else Found(mode, *await self._read(line))
        if has_anything:
            raise ForeignDatabase(
                f"in the {self._backend.address} the schema aimkeeper holds what aimkeeper did not make: "
                "choose another database."
            )
        if not has_sessions:
            return Found(Mode.ABSENT)
        shape = Shape.read(await line.fetch("foreign_columns", ()), (await line.fetch("foreign_table", ()))[0])
        if obstacle := shape.obstacle():
            raise ConfigError(f"{obstacle}.")
        if (await line.fetch("hides_rows", ()))[0][0]:
            raise ConfigError("row level security hides the rows of auth_sessions: connect as the role that owns it.")
        return Found(Mode.FOREIGN, *await self._read(line))

    async def _read(self, line: Line) -> tuple[Shape, Census]:
        shape = Shape.read(await line.fetch("foreign_columns", ()), (await line.fetch("foreign_table", ()))[0])
        now = self._store.now()
        since = now - timedelta(seconds=self._rules.idle_timeout)
        params = {"now": rows.micros(now), "alive_since": rows.micros(since)}
        names = self._backend.statements()["foreign_rows"].names
        [census] = await line.fetch("foreign_rows", [params[name] for name in names])
        return shape, Census.read(census)

    async def _share(self, line: Line, found: Found) -> None:
        assert found.shape is not None
        if await self._is_known(line):
            return  # another process was quicker
        rules = {
            **asdict(self._rules),
            "mode": Mode.SHARED,
            "one_per_email": found.shape.one_per_email,
            "added": found.shape.added,
        }
        for text in _changes():
            await line.run(text, SCRIPT_SECONDS)
        await line.fetch("set_meta", ("schema", str(newest_schema())))
        await line.fetch("set_meta", (ADOPTED, json.dumps(rules)))
        await line.run(script("heed"), SCRIPT_SECONDS)

    async def _run(self, line: Line, name: str) -> None:
        await line.run(script(name), SCRIPT_SECONDS)

    async def _give_back(self, line: Line) -> None:
        rules = json.loads((await line.fetch("get_meta", (ADOPTED,)))[0][0])
        # Those of migrations that came after, too.
        added = sorted({*rules["added"], *OURS})
        await line.fetch("set_rules", (json.dumps({"added": added}),))
        await self._run(line, "give_back")

    async def _take_in(self, found: Found) -> int:
        assert found.census is not None
        living, stale = found.census.sessions - found.census.stale, found.census.stale
        spread = min(living / self._max_rate, self._rules.refresh_every)
        params = {
            "fingerprint": self._rules.fingerprint or "",
            "idle_seconds": self._rules.idle_timeout,
            "spread_seconds": spread,
            "stale_seconds": min(stale * STALE_EVERY.total_seconds(), STALE_WITHIN.total_seconds()),
        }
        count = 0
        async with self._opened():
            while True:
                async with self._backend.transaction() as tx:
                    now = rows.micros(self._store.now())
                    taken = await tx.rows("take_in", now=now, limit=CHUNK, **params)
                if not taken:
                    return count
                count += len(taken)

    async def _move(self, statement: str, progress: Callable[[int], None]) -> int:
        """From the app's columns into the sealed one, or back, as the mode of the table now asks for; how many."""
        count, after = 0, "00000000-0000-0000-0000-000000000000"
        async with self._opened():
            while True:
                async with self._backend.transaction() as tx:
                    found = await tx.rows(statement, after=after, limit=CHUNK)
                    sessions = [self._read_row(row) for row in found]
                    await tx.each("move_secrets", [self._moved(session) for session in sessions])
                if not found:
                    return count
                count, after = count + len(found), found[-1][0]
                progress(count)

    def _read_row(self, row: rows.Row) -> Session:
        return rows.session_from(row, self._store.keys.sealer)

    def _moved(self, session: Session) -> dict[str, object]:
        sealed = rows.seal_secrets(self._store.keys.sealer, session.id, session.secrets)
        return {"id": session.id, "sealed": sealed, "plain": session.secrets}

    async def _prove_that_all_opens(self) -> None:
        after = "00000000-0000-0000-0000-000000000000"
        while True:
            async with self._backend.transaction() as tx:
                found = await tx.rows("sealed_only", after=after, limit=CHUNK)
            if not found:
                return
            after = [self._read_row(row) for row in found][-1].id

    async def _vacuum(self) -> bool:
        try:
            with told(self._backend.address):
                async with self._backend.lines.line() as line:
                    await line.run(script("vacuum"), SCRIPT_SECONDS)
        except StoreUnavailable:
            return False
        finally:
            await self._backend.close()
        return True

    async def _refuse_while_used(self) -> None:
        with told(self._backend.address):
            async with self._backend.lines.line() as line:
                alive = await line.fetch("owners_alive", (ALIVE_SECONDS,)) if await self._is_known(line) else []
        await self._backend.close()
        if alive:
            names = ", ".join(f"{name} (pid {pid})" for name, pid in alive)
            raise ConfigError(f"{names} keeps these sessions now: stop it, then run this again.")

    async def _is_known(self, line: Line) -> bool:
        return bool((await line.fetch("whose", ()))[0][0])

    async def _refuse_what_does_not_fit(self, found: Found) -> None:
        assert found.shape is not None
        with told(self._backend.address):
            async with self._backend.lines.line() as line:
                rules = json.loads((await line.fetch("get_meta", (ADOPTED,)))[0][0])
                several = (await line.fetch("emails_with_several", ()))[0][0]
        await self._backend.close()
        if rules.get("dropped") and several:
            raise ConfigError(
                f"{several} accounts have several sessions, and the app's table has room for one each: end the others "
                "by `aimkeeper forget`, then run this again."
            )

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        await self._store.open()
        try:
            yield
        finally:
            await self._store.close()

    async def _alone(self, work: Callable[[Line], Awaitable[None]]) -> None:
        """One transaction in which the table is nobody else's; tried again while others hold it."""
        left = TRIES
        try:
            while True:
                try:
                    return await self._once(work)
                except _Busy:
                    left -= 1
                    if not left:
                        raise StoreUnavailable(
                            "another transaction holds the table auth_sessions and does not let go of it: end it, "
                            "then run this again."
                        ) from None
                    await self._clock.sleep(BETWEEN_TRIES)
        finally:
            await self._backend.close()

    async def _once(self, work: Callable[[Line], Awaitable[None]]) -> None:
        with told(self._backend.address):
            async with self._backend.lines.line() as line:
                await line.run(_BEGIN)
                try:
                    await line.fetch("one_at_a_time", ())
                    await line.run(script("lock"), SCRIPT_SECONDS)
                    await work(line)
                    await line.run("COMMIT")
                except BaseException as error:
                    if line.is_open:
                        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                            await line.run("ROLLBACK")
                    if isinstance(error, asyncpg.LockNotAvailableError):
                        raise _Busy from None
                    raise


class _Busy(Exception):
    """Others hold the table."""


def _changes() -> list[str]:
    """The migrations, where the table that the first one makes is there already."""
    (_, _, first), *others = migrations("postgres")
    made, *rest = _MADE_HERE.findall(first)
    first = first.replace(made, script("share"))
    for text in rest:
        first = first.replace(text, "")
    return [first, *(text for _, _, text in others)]
