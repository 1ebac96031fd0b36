"""The composition root: settings in, a working service out. Everything is put together here and nowhere else."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from aimkeeper.clock import Clock, SystemClock
from aimkeeper.core.address import read_postgres
from aimkeeper.core.errors import AmbiguousSession, ConfigError, StoreUnavailable, UnknownSession
from aimkeeper.core.policy import AT_RISK_AFTER, MEAN_SHARE, Policy
from aimkeeper.core.session import Session, SessionKey, split_key
from aimkeeper.core.token import Fingerprint, parse_fingerprint
from aimkeeper.engine.audit import Audit
from aimkeeper.engine.bots import Bots
from aimkeeper.engine.entry import Entry
from aimkeeper.engine.holders import Holders
from aimkeeper.engine.keeper import Keeper
from aimkeeper.engine.pace import Pace
from aimkeeper.engine.passes import Passes
from aimkeeper.engine.refresh import Refresher
from aimkeeper.engine.verdicts import Verdicts
from aimkeeper.engine.worker import Worker
from aimkeeper.notify.channels import ByApprise, Channel, Discord, Webhook
from aimkeeper.notify.post import Post
from aimkeeper.settings import Settings
from aimkeeper.store.beats import BeatingOwners
from aimkeeper.store.database_clock import DatabaseClock
from aimkeeper.store.owners import LockingOwners
from aimkeeper.store.ownership import FileLocks, this_boot
from aimkeeper.store.plain import Rules
from aimkeeper.store.rekey import Rekeying
from aimkeeper.store.seal import Sealer, load_sealer
from aimkeeper.store.sqlite import Sqlite
from aimkeeper.store.store import Standing, Store
from aimkeeper.store.whole import Moved
from aimkeeper.upstream.client import AimHarder, Transport
from aimkeeper.upstream.protocol import Site

if TYPE_CHECKING:
    from aimkeeper.store.foreign import Foreign
    from aimkeeper.store.postgres import Postgres

_MOST_CANDIDATES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """
    What a service takes from the world; a test brings its own.

    Attributes:
        app: An ASGI application to call instead of the network.
        inline: Run SQL in the loop's thread, for a clock that is moved by hand.
        seam: Called at each point where a crash is interesting.
    """

    clock: Clock
    dice: Random
    random_bytes: Callable[[int], bytes]
    app: Callable[[Any, Any, Any], Any] | None = None
    inline: bool = False
    seam: Callable[[str], None] = lambda _point: None


def the_world() -> Surroundings:
    """The machine's own clock and dice."""
    dice = Random()  # noqa: S311 (they spread, and guard nothing)
    return Surroundings(clock=SystemClock(), dice=dice, random_bytes=os.urandom)


@dataclass(frozen=True, slots=True)
class Capacity:
    """
    Rates per second, of the whole fleet.

    Attributes:
        due_rate: Rotations that come due, at present.
        allowed_rate: Requests that may start.
        measured_rate: Rotations committed, on average over the last five whole minutes.
    """

    due_rate: float
    allowed_rate: float
    measured_rate: float

    @property
    def is_enough(self) -> bool:
        """Whether what is allowed covers what comes due."""
        return self.due_rate <= self.allowed_rate


class Service:
    """A store, an upstream, and what goes on between them."""

    def __init__(self, settings: Settings, store: Store, keeper: Keeper, surroundings: Surroundings) -> None:
        self.settings = settings
        self.store = store
        self.keeper = keeper
        self.upstream = keeper.upstream
        self.policy = keeper.policy
        self.clock = surroundings.clock
        self.audit = Audit(keeper)
        self.bots = Bots(store, self.audit)
        self.refresher = Refresher(keeper, self.audit)
        self.holders = Holders(keeper, self.refresher)
        self.verdicts = Verdicts(keeper)
        self.passes = Passes(keeper, self.refresher, concurrency=settings.concurrency)
        self.entry = Entry(
            keeper,
            fingerprint=default_fingerprint(settings),
            random_bytes=surroundings.random_bytes,
        )

    def worker(self, name: str = "worker") -> Worker:
        """A worker over this service; it runs when its `run` is awaited."""
        return Worker(
            self.keeper,
            concurrency=self.settings.concurrency,
            keep_rows=self.settings.on_session_end == "expire",
            history=timedelta(days=self.settings.history_days),
            name=name,
        )

    def rekeying(self) -> Rekeying:
        """What changes the key that seals."""
        # In a setting they are the operator's; in the file beside an embedded store, ours.
        return self.store.rekeying(None if self.settings.secret_keys else key_file_of(self.settings))

    async def find(self, who: str) -> Session:
        """
        The session that answers to *who*: an e-mail, `email#fingerprint`, an id, or the platform's own user id.

        Raises:
            UnknownSession: None does.
            AmbiguousSession: Several do.
        """
        text = who.strip()
        email, fingerprint = split_key(text)
        if fingerprint:
            session = await self.store.by_pair(SessionKey(email.lower(), Fingerprint(fingerprint)))
            found = [session] if session else []
        elif "@" in text:
            found = await self.store.by_email(text.lower(), _MOST_CANDIDATES)
        else:
            session = await self.store.get(text.lower())
            found = [session] if session else await self.store.by_ref(text, _MOST_CANDIDATES)
        if not found:
            raise UnknownSession(f"no session answers to {text!r}: `aimkeeper sessions` lists those that are kept.")
        if len(found) > 1:
            names = tuple(str(session.key) for session in found)
            raise AmbiguousSession(
                f"{text} has {len(found)} sessions: say which, as {' or '.join(names)}.", candidates=names
            )
        return found[0]

    async def capacity(self, standing: Standing | None = None) -> "Capacity":
        """What the sessions need, what is allowed, and what was done lately; *standing* where it was just read."""
        living = (standing or await self.standing()).living
        now = self.store.now()
        minutes = 5
        lately = await self.store.tallies(now - timedelta(minutes=minutes))
        # The present minute is not over: only the whole ones before it count.
        present = await self.store.tallies(now)
        rotated = lately.get("rotated", 0) - present.get("rotated", 0)
        return Capacity(
            due_rate=living / (self.policy.refresh_every.total_seconds() * MEAN_SHARE),
            allowed_rate=self.settings.max_rate,
            measured_rate=rotated / (minutes * 60),
        )

    async def standing(self) -> Standing:
        """How the sessions stand now."""
        # Not rotated for 29 minutes = a deadline earlier than (now - 29 minutes + idle timeout).
        return await self.store.standing(self.store.now() - AT_RISK_AFTER + self.policy.idle_timeout)


def default_fingerprint(settings: Settings) -> Fingerprint | None:
    """The fingerprint of sessions that carry none."""
    return parse_fingerprint(settings.fingerprint) if settings.fingerprint else None


def policy_of(settings: Settings) -> Policy:
    """The durations the rules are made of."""
    return Policy(
        refresh_every=settings.refresh_every,
        idle_timeout=settings.idle_timeout,
        upstream_timeout=settings.timeout,
        wipe_after=settings.wipe_after,
        heal_window=settings.heal_window,
    )


def channels_of(settings: Settings, post: Post, clock: Clock) -> list[Channel]:
    """Who is told of what happens."""
    channels: list[Channel] = []
    if settings.discord_webhook_url:
        channels.append(Discord(settings.discord_webhook_url, post))
    if settings.webhook_url:
        assert settings.webhook_secret, "settings without one do not come so far"
        channels.append(Webhook(settings.webhook_url, settings.webhook_secret, post, clock))
    return [*channels, *(ByApprise(url, number) for number, url in enumerate(settings.notify_urls, start=1))]


def key_file_of(settings: Settings) -> Path:
    """Where the key of an embedded store lies."""
    return settings.database_path.parent / "secret.key"


def store_of(settings: Settings, surroundings: Surroundings) -> Store:
    """The store the settings name, not yet open."""
    if settings.postgres is not None:
        return _shared_store(settings, surroundings)[0]
    path = settings.database_path
    embedded = Sqlite(path, inline=surroundings.inline)
    locks = FileLocks(path.with_name(f"{path.name}-owners"))
    owners = LockingOwners(embedded, locks, surroundings.clock)
    return Store(embedded, _sealers_of(settings), owners, surroundings.clock, spool_folder=_spool_of(path))


def _shared_store(settings: Settings, surroundings: Surroundings) -> "tuple[Store, Postgres]":
    # Here, for its driver takes a tenth of a second to load.
    from aimkeeper.store.postgres import Postgres  # noqa: PLC0415

    assert settings.postgres is not None
    path = settings.database_path
    # Where time is moved by hand, the database's is not asked.
    clock = DatabaseClock(surroundings.clock)
    heard = _deaf if surroundings.inline else clock.heard
    shared = Postgres(settings.postgres, surroundings.clock, heard=heard)
    boot = this_boot()
    here = FileLocks(path.with_name(f"{path.name}-owners-{boot}")) if boot else None
    owners = BeatingOwners(shared, clock, here)
    return Store(shared, _sealers_of(settings), owners, clock, spool_folder=_spool_of(path)), shared


def _sealers_of(settings: Settings) -> Callable[[bool], Sealer]:
    def sealers(store_is_sealed: bool) -> Sealer:  # noqa: FBT001 (its caller has one thing to say)
        return load_sealer(settings.secret_keys, key_file_of(settings), store_is_sealed=store_is_sealed)

    return sealers


def _spool_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-spool")


def foreign_of(settings: Settings, surroundings: Surroundings) -> "Foreign":
    """
    What adopts a table of sessions that another program made, and gives it back.

    Raises:
        ConfigError: The store is embedded: no other program's table is there.
    """
    if settings.postgres is None:
        raise ConfigError(
            "this is about the table of another program: set AIMKEEPER_DATABASE_URL to its PostgreSQL database."
        )
    from aimkeeper.store.foreign import Foreign  # noqa: PLC0415 (as above)

    store, shared = _shared_store(settings, surroundings)
    return Foreign(store, shared, surroundings.clock, _rules_of(settings), max_rate=settings.max_rate)


def _rules_of(settings: Settings) -> Rules:
    """What the triggers of such a table must know."""
    site = Site.at(settings.aimharder_url, settings.aimharder_login_url)
    return Rules(
        refresh_every=settings.refresh_every.total_seconds(),
        idle_timeout=settings.idle_timeout.total_seconds(),
        host=site.base_host,
        fingerprint=default_fingerprint(settings),
    )


async def move(settings: Settings, url: str, progress: Callable[[int], None]) -> Moved:
    """
    Move an embedded database to the PostgreSQL at *url*, sealed as it is; from then on nothing is spent from here.

    Raises:
        ConfigError: It can't be moved so; the sentence says why.
        StoreUnavailable: One of the two can't be used now.
    """
    if settings.postgres:
        raise ConfigError("what is in PostgreSQL is copied by its own tools, pg_dump and pg_restore.")
    try:
        read_postgres(url)
    except ValueError as error:
        raise ConfigError(f"--to {error}.") from None
    async with open_service(settings, name="db copy") as here:
        await here.store.replay_spool(here.policy, here.keeper.new_id)
        await here.store.owners.reap(stuck_before=here.clock.monotonic())
        others = [owner for owner in await here.store.owners.everyone() if owner.id != here.keeper.owner]
        if others:
            named = ", ".join(f"{other.name} (pid {other.pid})" for other in others)
            raise ConfigError(f"{named} uses this database: stop it first, for a token may be spent by one only.")
        keys = settings.secret_keys or key_file_of(settings).read_text("ascii")
        async with _opened(replace(settings, database_url=url, secret_keys=keys)) as new:
            return await here.store.whole.move_to(new.whole, progress)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Store]:
    store = store_of(settings, the_world())
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def _deaf(_told_at: float, _sent_at: float, _received_at: float) -> None:
    """Nobody asks the database for the time."""


def upstream_of(settings: Settings, surroundings: Surroundings) -> AimHarder:
    """The upstream the settings name, not yet entered."""
    transport = Transport(
        timeout=settings.timeout,
        connections=settings.concurrency,
        user_agent=settings.user_agent,
        proxy=settings.upstream_proxy,
        app=surroundings.app,
    )
    return AimHarder(Site.at(settings.aimharder_url, settings.aimharder_login_url), transport, surroundings.clock)


@asynccontextmanager
async def open_service(
    settings: Settings, *, role: str = "visitor", name: str = "aimkeeper", surroundings: Surroundings | None = None
) -> AsyncIterator[Service]:
    """
    Open store and upstream, and close them in good order: sent rotations finish and commit, unsent claims are freed.

    Args:
        settings: All of them.
        role: `worker` for a process that runs one, else `visitor`.
        name: For people, on the register of owners.
        surroundings: Clock, dice, network; None = the machine's.

    Raises:
        ForeignDatabase, KeyProblem, StoreUnavailable
    """
    around = surroundings or the_world()
    store = store_of(settings, around)
    await store.open()
    try:
        await store.go_by(_rules_of(settings))
        async with upstream_of(settings, around) as upstream:
            keeper = Keeper(
                store,
                upstream,
                policy_of(settings),
                around.clock,
                pace=Pace(around.clock, settings.max_rate, late=0.5),
                login_pace=Pace(around.clock, settings.login_rate),
                owner=await store.owners.enrol(name, role),
                dice=around.dice,
                new_id=lambda: str(UUID(bytes=around.random_bytes(16), version=4)),
                seam=around.seam,
            )
            store.owners.renamed = keeper.rename
            try:
                await store.keys.verify()
                yield Service(settings, store, keeper, around)
            finally:
                keeper.drain()
                await keeper.flights.all_landed()
                # A store that is gone now finds out later who left: the lock is free, or the beat stands still.
                with suppress(StoreUnavailable):
                    await store.owners.retire(keeper.owner)
    finally:
        await store.close()
