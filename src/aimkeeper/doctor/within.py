"""What the store shows: its sessions, its keys, who keeps them, and whether there is enough of everything."""

from collections.abc import AsyncIterator, Iterator, Sequence

from aimkeeper import __version__
from aimkeeper.core.session import Session
from aimkeeper.doctor.findings import Finding, failed, fine, note, warning
from aimkeeper.service import Service
from aimkeeper.store.owners import Owner

# So many sessions are looked at more closely.
SAMPLE = 200
# An exchange that is not known to take longer.
_AN_EXCHANGE = 0.5
_BUSY = 0.8
_LEAST = 0.01


async def look(service: Service, sample: Sequence[Session]) -> AsyncIterator[Finding]:
    """Everything that can be seen without asking AimHarder."""
    yield await _store(service)
    fleet, now = await service.keeper.breaker.look(afresh=True), service.store.now()
    if fleet.bar:
        yield failed("fleet", fleet.bar)
    elif fleet.is_stopped(now):
        until = f"until {fleet.paused_until:%H:%M} UTC" if fleet.paused_until else "until `aimkeeper resume`"
        yield warning("fleet", f"an operator paused everything, {until}: nothing is sent.")
    elif fleet.outage_at:
        yield failed("fleet", "AimHarder fails nearly everybody: one probe at a time goes out, no end is declared.")
    elif fleet.held_at:
        yield warning("fleet", "too many were told to log out at once: `aimkeeper verdicts list` shows the held ends.")
    for finding in _workers(await service.store.owners.living_workers(), has_sessions=bool(sample)):
        yield finding
    async for finding in _keys(service):
        yield finding
    for finding in _spool(service):
        yield finding
    async for finding in _notices(service, has_sessions=bool(sample)):
        yield finding
    yield await _size(service, sample)


async def _store(service: Service) -> Finding:
    await service.store.check_writable()
    standing = await service.standing()
    counts = ", ".join(f"{count} {status}" for status, count in standing.by_status.items() if count)
    trouble = f"{standing.overdue} overdue, {standing.failing} failing, {standing.at_risk} at risk"
    told = f"{service.store} can be written; it holds {counts or 'no session yet'}; {trouble}."
    if standing.at_risk:
        return warning("store", f"{told} `aimkeeper status` says who keeps them.")
    return fine("store", told)


def _workers(workers: Sequence[Owner], *, has_sessions: bool) -> Iterator[Finding]:
    if not workers:
        about_it = warning if has_sessions else note
        yield about_it("workers", "nobody keeps the sessions: run `aimkeeper serve`.")
        return
    names = ", ".join(f"{worker.name} (pid {worker.pid})" for worker in workers)
    versions = sorted({worker.version for worker in workers} | {__version__})
    if len(versions) > 1:
        yield warning("workers", f"{names} and this command are of versions {', '.join(versions)}: bring all to one.")
    else:
        yield fine("workers", f"kept by {names}.")


async def _keys(service: Service) -> AsyncIterator[Finding]:
    keys = service.store.keys
    seen = await keys.sample(SAMPLE)
    for key_id, count in seen.unopened.items():
        is_here = key_id in keys.sealer.key_ids
        why = "are damaged: restore a backup" if is_here else f"need key {key_id}, which is not here: add it"
        yield failed("keys", f"{count} of {seen.total} sealed values {why}.")
    for owner in await keys.lacking(keys.sealer.key_ids[0]):
        yield failed(
            "keys",
            f"{owner.name} (pid {owner.pid}) lacks key {keys.sealer.key_ids[0]}: add it to its AIMKEEPER_SECRET_KEYS.",
        )
    if keys.first != keys.sealer.key_ids[0]:
        yield warning(
            "keys", f"key {keys.first} does not seal yet: a process lacks it, `aimkeeper workers` shows whose."
        )
    others = [key_id for key_id in seen.by_key if key_id not in (keys.sealer.key_ids[0], *seen.unopened)]
    if others:
        yield note("keys", f"some values are sealed with key {', '.join(others)} yet: `aimkeeper keys rotate`.")
    if not seen.unopened:
        how_many = f"all of {seen.total} sealed values that were tried open" if seen.total else "nothing is sealed yet"
        yield fine("keys", f"{how_many}; key {keys.sealer.key_ids[0]} seals.")


def _spool(service: Service) -> Iterator[Finding]:
    waiting = len(service.store.spool)
    if not waiting:
        return
    opened = sum(1 for _ in service.store.spool.left_behind())
    if opened < waiting:
        yield failed(
            "spool",
            f"{waiting - opened} of {waiting} files in the spool do not open with the keys at hand: add the older key.",
        )
    else:
        yield warning("spool", f"{waiting} files in the spool wait to be committed: a worker on this machine does it.")


async def _notices(service: Service, *, has_sessions: bool) -> AsyncIterator[Finding]:
    settings, failing = service.settings, [box for box in await service.store.outbox.everything() if box.problem]
    for box in failing:
        yield warning(
            "notices", f"{box.channel} could not be told {box.attempt} times ({box.problem}): `aimkeeper notify test`."
        )
    is_set = bool(settings.discord_webhook_url or settings.notify_urls or settings.webhook_url)
    if has_sessions and not is_set:
        yield note("notices", "nobody is told when a session ends: DISCORD_WEBHOOK_URL or AIMKEEPER_NOTIFY_URLS.")
    elif is_set and not failing:
        yield fine("notices", "there is somebody to tell; `aimkeeper notify test` tries it.")


async def _size(service: Service, sample: Sequence[Session]) -> Finding:
    capacity = await service.capacity()
    settings = service.settings
    workers = max(len(await service.store.owners.living_workers()), 1)
    took = sorted(turn.took_ms / 1000 for session in sample for turn in session.ring if turn.took_ms >= 0)
    slow = took[int(len(took) * 0.95)] if took else _AN_EXCHANGE
    in_flight, allowed = capacity.due_rate * slow, settings.concurrency * workers
    told = (
        f"{_few(capacity.due_rate)} rotations a second are needed, {capacity.allowed_rate:g} allowed; "
        f"{_few(in_flight)} in flight at a time (an exchange takes up to {slow:.2g} s), {allowed} allowed"
    )
    if not capacity.is_enough:
        return warning("size", f"{told}: raise AIMKEEPER_MAX_RATE, or lengthen AIMKEEPER_REFRESH_EVERY.")
    if in_flight > allowed * _BUSY:
        return warning("size", f"{told}: raise AIMKEEPER_CONCURRENCY, or add a worker.")
    minutes = (await service.standing()).living / capacity.allowed_rate / 60
    return fine("size", f"{told}; after an outage all are rotated again within {max(minutes, 1):.0f} min.")


def _few(number: float) -> str:
    return f"{number:.2g}" if number >= _LEAST else f"under {_LEAST:g}"
