"""The demo: three sessions kept, one left alone, one reply lost on purpose; judged by the simulator's ground truth."""

import asyncio
import logging
import socket
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from random import Random

from aimkeeper.clock import SystemClock
from aimkeeper.core.begin import Adoption, adopted
from aimkeeper.core.errors import AimkeeperError, ConfigError
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.session import SessionKey, Turn
from aimkeeper.core.token import Fingerprint, Token
from aimkeeper.engine.entry import LogIn
from aimkeeper.service import Service, open_service
from aimkeeper.serving import Serving, bind, serving, sign_in_link, told_to_stop
from aimkeeper.settings import Settings
from aimkeeper.simulator import Faults, Rules, Running, Simulator, running
from aimkeeper.telemetry import set_up_logs

IDLE_SECONDS = 15
REFRESH_SECONDS = 4
KEPT = ("ana@example.com", "berta@example.com", "carlos@example.com")
UNKEPT = "nobody@example.com"
LOST_REPLY_AFTER = 7.0
HEALING_SECONDS = 5.0

Say = Callable[[str], object]


@dataclass(slots=True)
class _Tally:
    rotations: int = 0
    to_be_lost: int = 0
    healed: int = 0


async def play(seconds: int | None, *, say: Say) -> bool:
    """
    Play for *seconds*, or until ctrl-C; whether the last line told the truth.

    Args:
        seconds: How long; None = until told to stop.
        say: Where lines go.
    """
    set_up_logs(as_json=False, level=logging.ERROR)
    stopping = told_to_stop()
    unheard: list[Exception] = []

    def tell(line: str) -> None:
        # It is called from within a rotation too, which must not fail because somebody closed the pipe.
        try:
            say(line)
        except Exception as error:  # noqa: BLE001 (raised again below)
            unheard.append(error)
            stopping.set()

    clock = SystemClock()
    rules = Rules(idle_life=IDLE_SECONDS, old_token="grace", grace=10)  # noqa: S106 (a rule, not a token)
    upstream = Simulator(rules, Faults(latency=0.02, jitter=0.03), clock=clock, rng=Random())  # noqa: S311 (it plays the network, not a lock)
    with tempfile.TemporaryDirectory(prefix="aimkeeper-demo-") as folder, _listening() as listening:
        async with (
            running(upstream) as site,
            open_service(_settings(Path(folder), site), role="worker") as service,
        ):
            async with serving(service, listening, with_worker=True, stopping=stopping, name="demo") as now_serving:
                if seconds:
                    asyncio.get_running_loop().call_later(seconds, stopping.set)
                tally, unkept = await _watch(service, upstream, now_serving, stopping, tell)
            # Judged once nothing moves any more: the last line is the last.
            well = await _judge(service, upstream, tally, unkept, tell)
    if unheard:
        raise unheard[0]
    return well


async def _watch(
    service: Service, upstream: Simulator, now_serving: Serving, stopping: asyncio.Event, say: Say
) -> tuple[_Tally, SessionKey]:
    say(f"A simulated AimHarder forgets a session {IDLE_SECONDS} s after its last rotation (the real one: ~90 min).")
    say(f"Watch it: {await sign_in_link(service, now_serving.url)}")
    tally = _Tally()
    _listen(service, tally, say)
    for email in KEPT:
        upstream.add_account(email, "demo")
        await service.entry.log_in(LogIn(email, "demo", remember=True))
    unkept = await _leave_alone(service, upstream)
    jobs = [
        asyncio.create_task(_lose_a_reply(upstream, tally, say)),
        asyncio.create_task(_mourn(service, unkept, say)),
    ]
    try:
        await stopping.wait()
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
    await _let_heal(tally)
    return tally, unkept


async def _let_heal(tally: _Tally) -> None:
    """An answer to be lost in the last moment gets the seconds it needs: the worker still runs."""
    with suppress(TimeoutError):
        async with asyncio.timeout(HEALING_SECONDS):
            while tally.healed < tally.to_be_lost:  # noqa: ASYNC110 (a hearer counts it)
                await asyncio.sleep(0.05)


def _settings(folder: Path, site: Running) -> Settings:
    return Settings(
        data_dir=folder,
        aimharder_url=site.url,
        aimharder_login_url=site.url,
        refresh_every=timedelta(seconds=REFRESH_SECONDS),
        idle_timeout=timedelta(seconds=IDLE_SECONDS),
        login_rate=20.0,
    )


def _listening() -> socket.socket:
    try:
        return bind("127.0.0.1", 8000)
    except ConfigError:
        return bind("127.0.0.1", 0)


def _listen(service: Service, tally: _Tally, say: Say) -> None:
    def hear_turn(turn: Turn) -> None:
        if turn.what == "rotated" and turn.via != "login":
            tally.rotations += 1

    def hear_event(fact: Event) -> None:
        if fact.kind is EventKind.HEALED:
            tally.healed += 1
            say(f"  {fact.email}: asked again in time and healed; nothing is lost")
        elif fact.kind is EventKind.IN_DOUBT:
            say(f"  {fact.email}: the answer was lost; the token may be spent, so this session goes first")
        elif fact.kind is EventKind.LOGGED_IN:
            say(f"  {fact.email}: logged in, and kept from now on")

    service.keeper.hearers.turns.append(hear_turn)
    service.keeper.hearers.events.append(hear_event)


async def _leave_alone(service: Service, upstream: Simulator) -> SessionKey:
    """A session that is stored, but never due: nobody keeps it."""
    upstream.add_account(UNKEPT, "demo")
    fingerprint = Fingerprint("0" * 50)
    grant = upstream.open_session(UNKEPT, fingerprint)
    cookies = tuple((name, value, None) for name, value in grant.cookies.items())
    adoption = Adoption(email=UNKEPT, fingerprint=fingerprint, token=Token.parse(grant.token), cookies=cookies)
    now = service.store.now()
    host = service.upstream.site.base_host
    session = adopted("00000000-0000-4000-8000-000000000000", adoption, host, service.policy, now, delay=timedelta(0))
    fact = Event(kind=EventKind.ADOPTED, at=now, session_id=session.id, email=UNKEPT)
    await service.store.put(replace(session, due_at=None, settled_in=True), fact, replacing=True)
    return adoption.key


async def _lose_a_reply(upstream: Simulator, tally: _Tally, say: Say) -> None:
    await asyncio.sleep(LOST_REPLY_AFTER)
    tally.to_be_lost += 1
    say("Now the network breaks off one answer, after AimHarder did its work…")
    upstream.next("reset_after")


async def _mourn(service: Service, unkept: SessionKey, say: Say) -> None:
    """Once its time is over, ask after the session nobody kept."""
    await asyncio.sleep(IDLE_SECONDS + 0.5)
    session = await service.store.by_pair(unkept)
    if session is None:
        return
    while True:
        with suppress(AimkeeperError):
            await service.refresher.refresh(session, forced=True)
        after = await service.store.by_pair(unkept)
        if after is None or after.cause is not None:
            break
        await asyncio.sleep(0.5)
    say(f"  {UNKEPT}: nobody rotated it, and it is dead")


async def _judge(service: Service, upstream: Simulator, tally: _Tally, unkept: SessionKey, say: Say) -> bool:
    kept = 0
    for truth in upstream.truths():
        session = await service.store.by_pair(SessionKey(truth.email, Fingerprint(truth.fingerprint)))
        if truth.email in KEPT and truth.alive and session and session.secrets.token:
            kept += session.token.text == truth.token or upstream.accepts(
                truth.email, truth.fingerprint, session.token.text
            )
    lost = upstream.totals.replies_lost
    left = upstream.truth(*unkept)
    words = f"kept {kept} of {len(KEPT)} ({tally.rotations} rotations"
    words += f", {lost} lost {'reply' if lost == 1 else 'replies'} healed)" if lost and tally.healed >= lost else ")"
    if left.died_at is not None:
        lived = (left.died_at - left.last_used_at).total_seconds()
        words += f"; the unkept one died after {lived:.0f} s"
    say(words)
    return kept == len(KEPT) and tally.healed >= lost
