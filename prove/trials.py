"""The trials of `make prove`, each with what it must come to."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from aimkeeper.simulator import Faults, Rules
from prove.field import Field, Score, Setup, field_of

HOSTILE = Faults(
    reset_before=0.05,
    reset_after=0.05,
    error_500=0.05,
    html_502=0.05,
    truncated=0.05,
    bad_json=0.05,
    rate_limited=0.02,
    retry_after=1,
    hang=0.005,
    hang_for=10,
)
LETHAL = ("double_spent", "unknown")


def rules(idle: float, old_token: str, grace: float = 0.0) -> Rules:
    """An upstream with that idle life, and that treatment of old tokens."""
    return Rules(idle_life=idle, old_token=old_token, grace=grace, after_grace="strict")  # type: ignore[arg-type]  # one of its four words


@dataclass(frozen=True, slots=True)
class Trial:
    """
    One row.

    Attributes:
        must: What it must come to, in words.
        play: Runs it; True when it came to that, with what happened.
    """

    name: str
    upstream: str
    must: str
    setup: Setup
    seconds: float
    play: Callable[["Trial"], Awaitable[tuple[bool, Score]]]


async def one_worker(trial: Trial) -> Score:
    async with field_of(trial.setup) as field:
        await field.worker()
        await field.populate()
        await asyncio.sleep(trial.seconds)
        return await _settled(field)


async def _settled(field: Field) -> Score:
    """Faults over, doubts settled, workers stopped: then count."""
    field.sim.faults = Faults()
    await asyncio.sleep(field.setup.refresh_every + 3)
    await field.stop_all()
    return await field.score()


async def none_lost(trial: Trial) -> tuple[bool, Score]:
    score = await one_worker(trial)
    return score.lost == score.ended == score.stranded == 0, score


async def lost_only_what_replies_lost(trial: Trial) -> tuple[bool, Score]:
    score = await one_worker(trial)
    return score.lost <= score.replies_lost and set(score.causes) <= set(LETHAL), score


async def none_lost_at_the_end(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        await field.worker()
        await field.populate()
        await asyncio.sleep(trial.seconds)
        score = await _settled(field)
        return score.lost == score.ended == 0 and field.sim.totals.wrong_passwords == 0, score


async def killed_again_and_again(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        worker = await field.worker()
        await field.populate()
        for _ in range(int(trial.seconds / 2)):
            await asyncio.sleep(2)
            await field.stop(worker, signal.SIGKILL)
            worker = await field.worker()
        score = await _settled(field)
        return score.lost == score.ended == score.stranded == score.claims_left == 0, score


async def three_workers_and_callers(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        for _ in range(3):
            await field.worker()
        await field.populate()
        callers = [asyncio.create_task(_call(field, trial.seconds, part)) for part in range(2)]
        await asyncio.gather(*callers)
        score = await _settled(field)
        return score.lost == score.reuse == score.concurrent == score.ended == 0, score


async def _call(field: Field, seconds: float, part: int) -> None:
    """A caller of every session's, once each few seconds, in this process: it shares the workers' database."""
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        for session in await field.sessions():
            await field.service.refresher.refresh(session)
            await asyncio.sleep(0.005 * (part + 1))


async def stopped_and_resumed(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        workers = [await field.worker() for _ in range(3)]
        await field.populate()
        await asyncio.sleep(trial.seconds / 3)
        flying = field.sim.in_flight
        workers[0].send_signal(signal.SIGSTOP)
        await asyncio.sleep(10)
        workers[0].send_signal(signal.SIGCONT)
        await asyncio.sleep(trial.seconds / 3)
        score = await _settled(field)
        allowed = flying if trial.setup.rules.old_token == "strict" else 0
        return score.lost <= allowed and score.reuse <= max(flying, 0), score


GRACE = rules(30, "grace", 25)
FAULTY = Setup(sessions=500, rules=GRACE, faults=HOSTILE, refresh_every=5, idle=30)
PLAIN = Setup(sessions=500, rules=rules(30, "strict"), refresh_every=5, idle=30)

TRIALS = [
    Trial("every fault of the network", "grace 25 s", "0 lost", FAULTY, 90, none_lost),
    Trial("the same", "stateless", "0 lost", replace(FAULTY, rules=rules(30, "stateless")), 90, none_lost),
    Trial(
        "the same, no passwords", "strict", "lost <= replies lost, cause known",
        replace(FAULTY, rules=rules(30, "strict")), 90, lost_only_what_replies_lost,
    ),
    Trial(
        "50 remembered, 2 % reset after", "strict", "0 lost at the end, no password after a refusal",
        replace(PLAIN, sessions=50, faults=Faults(reset_after=0.02), remembered=True), 90, none_lost_at_the_end,
    ),
    Trial(
        "kill -9 every 2 s", "grace 12 s", "0 lost",
        Setup(sessions=200, rules=rules(12, "grace", 12), refresh_every=3, idle=12), 60, killed_again_and_again,
    ),
    Trial(
        "3 workers, 2 callers a session, no faults", "strict", "0 reuse, 0 concurrent, 0 lost",
        PLAIN, 60, three_workers_and_callers,
    ),
]  # fmt: skip
