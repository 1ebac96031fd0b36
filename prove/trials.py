"""The trials of `make prove`, each with what it must come to."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from aimkeeper.core.events import EventKind
from aimkeeper.simulator import Faults, Rules
from prove.disk import mended_disk
from prove.field import Field, Score, Setup, field_of
from prove.order import by_hand_apart, for_real
from prove.shared import killed_stopped_and_cut_off, restarted_again_and_again

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
# What an end must be put down to when an answer was lost and the upstream forgives nothing.
OUR_OWN_DOING = {"double_spent", "unknown"}
ORDERS = 2.0


@dataclass(frozen=True, slots=True)
class Trial:
    """
    One row.

    Attributes:
        upstream: What it does to an old token.
        store: The only one that it is for, if there is one: `sqlite` or `postgres`.
        must: What it must come to, in words.
        play: Runs it; whether it came to that, and what happened.
    """

    name: str
    upstream: str
    must: str
    setup: Setup
    seconds: float
    play: Callable[["Trial"], Awaitable[tuple[bool, Score]]]
    store: str = ""


def rules(idle: float, old_token: str, grace: float = 0.0) -> Rules:
    """An upstream with that idle life, and that treatment of old tokens."""
    return Rules(idle_life=idle, old_token=old_token, grace=grace, after_grace="strict")  # type: ignore[arg-type]  # one of its four words


async def settled(field: Field) -> Score:
    """Faults over, doubts settled, workers stopped: then count."""
    field.sim.faults = Faults()
    await asyncio.sleep(field.setup.refresh_every + 5)
    await field.stop_all()
    return await field.score()


async def one_worker(trial: Trial) -> Score:
    async with field_of(trial.setup) as field:
        await field.work()
        await field.populate()
        await asyncio.sleep(trial.seconds)
        return await settled(field)


async def none_lost(trial: Trial) -> tuple[bool, Score]:
    score = await one_worker(trial)
    return score.lost == score.ended == score.stranded == 0, score


async def lost_only_what_replies_lost(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        await field.work()
        await field.populate()
        await asyncio.sleep(trial.seconds)
        await settled(field)
        # So many died at once that the verdicts are held back: an operator accepts them.
        accepted = await field.service.verdicts.accept()
        score = await field.score()
        score.note = f"{accepted} verdicts were held and accepted"
        put_down = set(score.causes) <= OUR_OWN_DOING and score.ended == score.lost
        return score.lost <= score.replies_lost and put_down, score


async def none_lost_at_the_end(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        await field.work()
        await field.populate()
        await asyncio.sleep(trial.seconds)
        score = await settled(field)
        score.note = f"{field.sim.totals.logins} logins, {field.sim.totals.wrong_passwords} wrong passwords"
        return score.lost == score.ended == field.sim.totals.wrong_passwords == 0, score


async def killed_again_and_again(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        workers = [await field.worker() for _ in range(trial.setup.workers)]
        await field.populate()
        for _ in range(int(trial.seconds / 2)):
            before = field.sim.totals.rotations
            await asyncio.sleep(2)
            # On a machine so busy that none has begun yet, a kill would show nothing.
            await field.rotated_since(before)
            # Each in its turn.
            await field.stop(workers.pop(0), signal.SIGKILL)
            workers.append(await field.worker())
        score = await settled(field)
        return score.lost == score.ended == score.stranded == score.claims_left == 0, score


async def stopped_in_good_order(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        worker = await field.worker()
        await field.populate()
        clock, longest, statuses = field.sim.clock, 0.0, set()
        for _ in range(int(trial.seconds / 2)):
            before = field.sim.totals.rotations
            await asyncio.sleep(2)
            await field.rotated_since(before)  # who has not begun yet has nothing to leave in good order
            asked_at = clock.monotonic()
            statuses.add(await field.stop(worker))
            longest = max(longest, clock.monotonic() - asked_at)
            worker = await field.worker()
        score = await settled(field)
        score.note = f"the longest stop took {longest:.1f} s, exit statuses {statuses}"
        bad = score.lost + score.ended + score.stranded + score.reuse + score.concurrent + score.claims_left
        return bad == 0 and statuses == {0} and longest <= trial.setup.timeout, score


async def three_workers_and_callers(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        for _ in range(3):
            await field.work()
        await field.populate()
        callers = [asyncio.create_task(call_everybody(field, trial.seconds)) for _ in range(2)]
        calls = sum(await asyncio.gather(*callers))
        score = await settled(field)
        score.note = f"{calls} calls of 2 callers a session"
        return score.lost == score.reuse == score.concurrent == score.ended == 0, score


async def call_everybody(field: Field, seconds: float) -> int:
    """A caller of every session's, again and again, in this process: it shares the workers' database."""
    end, calls = asyncio.get_running_loop().time() + seconds, 0
    while asyncio.get_running_loop().time() < end:
        for session in await field.sessions():
            await field.service.refresher.refresh(session)
            calls += 1
    return calls


async def stopped_and_resumed(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        workers = [await field.worker() for _ in range(max(trial.setup.workers, 3))]
        await field.populate()
        await asyncio.sleep(trial.seconds / 3)
        workers[0].send_signal(signal.SIGSTOP)
        held = await field.held_by(workers[0])
        await asyncio.sleep(10)
        workers[0].send_signal(signal.SIGCONT)
        await asyncio.sleep(trial.seconds / 3)
        score = await settled(field)
        score.note = f"it held {held} when it was stopped"
        if trial.setup.rules.old_token == "strict":
            return score.lost <= held and score.reused <= held, score
        return score.lost == 0, score


async def odd_answers(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        await field.work()
        await field.populate()
        await asyncio.sleep(trial.seconds / 4)
        field.sim.play(Faults(maintenance=1.0, paths=("*",)), seconds=10)
        await asyncio.sleep(10 + trial.seconds / 4)
        field.sim.play(Faults(empty=1.0, paths=("*",)), seconds=5)
        await asyncio.sleep(5 + trial.seconds / 4)
        score = await settled(field)
        told = await field.count_events(EventKind.ENDED)
        return score.lost == score.ended == told == 0, score


async def everybody_logged_out(trial: Trial) -> tuple[bool, Score]:
    async with field_of(trial.setup) as field:
        await field.work()
        await field.populate()
        await asyncio.sleep(trial.seconds / 4)
        field.sim.play(Faults(logout_all=True, whoami_empty=True), seconds=20)
        await asyncio.sleep(20 + trial.seconds / 2)
        score = await settled(field)
        fleet = [fact.kind for fact in await field.service.store.fleet.events()]
        ended = await field.count_events(EventKind.ENDED)
        wiped = await field.count_events(EventKind.WIPED)
        held = fleet.count(EventKind.VERDICTS_HELD)
        score.note = f"{held} mass death told, {ended} ends, {wiped} wiped"
        return held == 1 and ended == wiped == score.lost == score.stranded == 0, score


async def saved_in_the_best_order(trial: Trial) -> tuple[bool, Score]:
    play = by_hand_apart if trial.setup.sessions > 1000 else for_real
    saved = await play(trial.setup)
    score = Score(sessions=trial.setup.sessions, note=str(saved))
    return saved.ours >= 0.97 * saved.best and saved.ours >= ORDERS * saved.first_in_first_out, score


async def mended(trial: Trial) -> tuple[bool, Score]:
    return await mended_disk(trial.setup)


async def befallen(trial: Trial) -> tuple[bool, Score]:
    return await killed_stopped_and_cut_off(trial.setup, trial.seconds)


async def restarted(trial: Trial) -> tuple[bool, Score]:
    return await restarted_again_and_again(trial.setup, trial.seconds, pooled=False)


async def restarted_behind_a_pooler(trial: Trial) -> tuple[bool, Score]:
    return await restarted_again_and_again(trial.setup, trial.seconds, pooled=True)


GRACE = rules(30, "grace", 25)
FAULTY = Setup(sessions=500, rules=GRACE, faults=HOSTILE, refresh_every=5, idle=30)
PLAIN = Setup(sessions=500, rules=rules(30, "strict"), refresh_every=5, idle=30)
ORDER = Setup(sessions=10_000, rules=rules(5400, "stateless"), refresh_every=900, idle=5400, timeout=10)

TRIALS = [
    Trial("every fault of the network", "grace 25 s", "0 lost", FAULTY, 90, none_lost),
    Trial("the same", "stateless", "0 lost", replace(FAULTY, rules=rules(30, "stateless")), 90, none_lost),
    Trial(
        "the same, no passwords", "strict", "lost <= replies lost, each put down to it",
        replace(FAULTY, rules=rules(30, "strict")), 90, lost_only_what_replies_lost,
    ),
    Trial(
        "50 remembered, 2 % reset after", "strict", "0 lost at the end, no password tried after a refusal",
        replace(PLAIN, sessions=50, faults=Faults(reset_after=0.02), remembered=True), 90, none_lost_at_the_end,
    ),
    Trial(
        "kill -9 every 2 s", "grace 12 s", "0 lost",
        Setup(sessions=200, rules=rules(12, "grace", 12), refresh_every=3, idle=12), 60, killed_again_and_again,
    ),
    Trial(
        "SIGTERM every 2 s", "strict", "0 lost, 0 spent twice, no claim left, each exit within the timeout of 2 s",
        Setup(sessions=200, rules=rules(12, "strict"), faults=Faults(latency=0.3), refresh_every=3, idle=12),
        60, stopped_in_good_order,
    ),
    Trial(
        "3 workers, 2 callers a session, no faults", "strict", "0 reuse, 0 concurrent use, 0 lost",
        PLAIN, 60, three_workers_and_callers,
    ),
    Trial(
        "a worker stopped for 10 s among 3", "strict", "reuse and losses <= what it held",
        replace(PLAIN, faults=Faults(latency=0.05)), 60, stopped_and_resumed,
    ),
    Trial(
        "the same", "grace 12 s", "0 lost",
        replace(PLAIN, rules=rules(30, "grace", 12), faults=Faults(latency=0.05)), 60, stopped_and_resumed,
    ),
    Trial(
        "gone for 80 % of the idle life, back at 0.4 x the due rate, clock moved by hand", "stateless",
        "saved within 3 % of the best order, 2 x first-in-first-out", ORDER, 0, saved_in_the_best_order, "sqlite",
    ),
    Trial(
        "the same, for real", "stateless", "likewise",
        Setup(sessions=300, rules=rules(180, "stateless"), refresh_every=30, idle=180), 0, saved_in_the_best_order,
    ),
    Trial(
        "spurious logout 2 %, maintenance page 10 s, empty bodies 5 s", "grace 25 s", "0 ended",
        replace(FAULTY, faults=Faults(spurious_logout=0.02)), 90, odd_answers,
    ),
    Trial(
        "everybody logged out, whoami empty, for 20 s", "stateless", "0 wiped, told once, all alive",
        replace(PLAIN, rules=rules(30, "stateless")), 60, everybody_logged_out,
    ),
    Trial(
        "disk full, read-only, key file corrupted; then mended", "stateless", "clear errors, goes on, 0 lost",
        replace(PLAIN, sessions=100, rules=rules(30, "stateless")), 60, mended, "sqlite",
    ),
    Trial(
        "of 4 workers one is killed, one stopped for 10 s, one cut off from the database for 10 s", "strict",
        "reuse and losses <= what the three held",
        replace(PLAIN, faults=Faults(latency=0.05)), 60, befallen, "postgres",
    ),
    Trial(
        "the same", "grace 12 s", "0 lost",
        replace(PLAIN, rules=rules(30, "grace", 12), faults=Faults(latency=0.05)), 60, befallen, "postgres",
    ),
    Trial(
        "4 workers, the database killed and started 5 times", "strict", "0 lost, 0 spent twice",
        PLAIN, 60, restarted, "postgres",
    ),
    Trial(
        "the same through PgBouncer in transaction mode", "strict", "0 lost, 0 spent twice",
        PLAIN, 60, restarted_behind_a_pooler, "postgres",
    ),
]  # fmt: skip
