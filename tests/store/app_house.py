"""A house whose table of sessions an app made, with that app at work in it."""

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import asyncpg

from aimkeeper.core.address import read_postgres
from aimkeeper.core.cookies import Cookie, CookieDelta
from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.store.beats import BeatingOwners
from aimkeeper.store.foreign import Foreign, Found
from aimkeeper.store.plain import Rules
from aimkeeper.store.postgres import Postgres, _Asked
from aimkeeper.store.seal import load_sealer, new_key
from aimkeeper.store.store import Store
from aimkeeper.testing import ManualClock
from tests.store.app_table import ENV_FINGERPRINT, SHAPES, App, filled
from tests.store.conftest import PostgresHouse

RULES = Rules(refresh_every=900.0, idle_timeout=5400.0, host="aimharder.com", fingerprint=ENV_FINGERPRINT)
# Beside the columns: what the app's programmers would miss if it were gone.
_SURROUNDINGS = """
SELECT 'column', attname::text, format_type(atttypid, atttypmod), attnotnull::text FROM pg_attribute
 WHERE attrelid = 'public.auth_sessions'::regclass AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisunique::text FROM pg_index
 WHERE indrelid = 'public.auth_sessions'::regclass
UNION ALL SELECT 'rule', conname::text, pg_get_constraintdef(oid), contype::text FROM pg_constraint
 WHERE conrelid = 'public.auth_sessions'::regclass OR confrelid = 'public.auth_sessions'::regclass
UNION ALL SELECT 'trigger', tgname::text, pg_get_triggerdef(oid), tgenabled::text FROM pg_trigger
 WHERE tgrelid = 'public.auth_sessions'::regclass AND NOT tgisinternal
UNION ALL SELECT 'policy', polname::text, pg_get_expr(polqual, polrelid), polcmd::text FROM pg_policy
 WHERE polrelid = 'public.auth_sessions'::regclass
UNION ALL SELECT 'table', relrowsecurity::text, '', relowner::text FROM pg_class
 WHERE oid = 'public.auth_sessions'::regclass
UNION ALL SELECT 'options', COALESCE(reloptions::text, ''), '', '' FROM pg_class
 WHERE oid = 'public.auth_sessions'::regclass
UNION ALL SELECT 'schema', nspname::text, '', '' FROM pg_namespace WHERE nspname = 'aimkeeper'
ORDER BY 1, 2
"""


class AppHouse(PostgresHouse):
    """
    One database in which an app's table is.

    Attributes:
        rules: By which the triggers go.
    """

    def __init__(self, folder: Path, stack: AsyncExitStack, database, shape: str) -> None:
        # The triggers go by the database's own time, so ours must not be far from it.
        super().__init__(folder, ManualClock(datetime.now(UTC)), stack, database)
        self.shape = SHAPES[shape]
        self.rules = RULES
        self.secret_keys = new_key()
        database.is_ours = False

    def fill(self, count: int) -> None:
        self.database.script(self.shape.ddl + filled(self.shape, count))

    def foreign(self, rules: Rules | None = None) -> Foreign:
        """Somebody at the command line."""
        backend = Postgres(self.address, self.clock)
        owners = BeatingOwners(backend, self.clock)
        store = Store(backend, self.sealers, owners, self.clock, spool_folder=self.folder / "spool")
        return Foreign(store, backend, self.clock, rules or self.rules, max_rate=20.0)

    async def share(self) -> int:
        foreign = self.foreign()
        return await foreign.share(await foreign.look())

    def as_role(self, role: str, script: str) -> None:
        """Come as another role from now on, which *script* makes; it goes with the database."""
        self.database.script(script)
        self._stack.callback(
            self.database.script, f"REASSIGN OWNED BY {role} TO postgres; DROP OWNED BY {role}; DROP ROLE {role}"
        )
        self.address = read_postgres(self.database.url.replace("postgres@", f"{role}@"))

    def go_through_the_pooler(self) -> None:
        self.address = read_postgres(self.database.pooled_url)

    def break_off_after(self, patch, transactions: int) -> None:
        """The database goes away when so many transactions have been committed."""
        commit, left = _Asked.commit, [transactions]

        async def counted(asked) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise StoreUnavailable("it is away.")
            await commit(asked)

        patch.setattr(_Asked, "commit", counted)

    def cookies(self, *given: tuple[str, str, str]) -> CookieDelta:
        """What an answer sets, each for one host."""
        return CookieDelta(tuple(Cookie(name, value, host) for name, value, host in given))

    def given(self, store: Store, keys: str) -> None:
        """From now on these keys stand where *store* reads them."""
        store.keys._sealers = lambda sealed: load_sealer(keys, None, store_is_sealed=sealed)

    async def take_over(self) -> tuple[int, bool]:
        foreign = self.foreign()
        found = await foreign.look()
        await foreign.share(found)
        return await foreign.take_over(found)

    async def give_back(self) -> int:
        foreign = self.foreign()
        return await foreign.give_back(await foreign.look())

    async def look(self) -> Found:
        return await self.foreign().look()

    async def app(self) -> App:
        """The app, with a connection of its own."""
        connection = await asyncpg.connect(self.address_of_app, statement_cache_size=0)
        self._stack.push_async_callback(connection.close)
        return App(connection, self.shape)

    @property
    def address_of_app(self) -> str:
        return self.database.url.replace("postgres@", "app@")

    def surroundings(self) -> list[tuple]:
        """Columns, indexes, rules, triggers, policies: the table as the app's programmers know it."""
        return self.ask(_SURROUNDINGS)

    def table(self) -> dict[str, dict]:
        """Every row by id, in the app's own columns."""
        return {
            row[0]: json.loads(row[1]) for row in self.ask("SELECT id::text, to_jsonb(s)::text FROM auth_sessions s")
        }
