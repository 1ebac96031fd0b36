"""Each fault, in-process: what is answered, whether the work was done, what is counted."""

import asyncio
import random

import pytest

from aimkeeper.simulator import Faults, Rules, Simulator

# Fault, settings, status (0 = broken off), is the work done.
CASES = [
    ("reset_before", {}, 0, False),
    ("reset_after", {}, 0, True),
    ("truncated", {}, 0, True),
    ("bad_json", {}, 200, True),
    ("empty", {}, 200, True),
    ("error_500", {}, 500, False),
    ("error_500", {"error_works": True}, 500, True),
    ("html_502", {}, 502, False),
    ("html_502", {"error_works": True}, 502, True),
    ("rate_limited", {"retry_after": 3}, 429, False),
    ("spurious_logout", {}, 200, False),
    ("maintenance", {}, 200, False),
    ("hang", {"hang_for": 20}, 0, False),
    ("hang", {"hang_for": 20, "hang_works": True}, 0, True),
]


@pytest.mark.parametrize(("fault", "settings", "status", "works"), CASES)
async def test_a_fault_breaks_the_answer_and_does_the_work_or_not(
    *, sim, caller, grant, clock, fault, settings, status, works
):
    sim.faults = Faults(**settings)
    sim.next(fault)
    heard = None

    async def ask():
        nonlocal heard
        heard = await caller.update(grant.token)

    if status:
        await ask()
    else:
        with pytest.raises(ConnectionResetError):
            await clock.finish(ask())

    truth = caller.truth()
    assert (heard.status if heard else 0) == status
    assert (truth.token != grant.token) is works
    assert (truth.rotations, truth.replies_lost, sim.totals.replies_lost) == (works, works, works)
    assert (truth.alive, truth.in_flight, sim.in_flight, sim.waiting) == (True, 0, 0, 0)
    assert sim.totals.faults == {fault: 1}
    assert (sim.log[-1].fault, sim.log[-1].status) == (fault, status if fault != "truncated" else 200)
    assert "newToken" in (await caller.update(truth.token)).json()  # it struck once


async def test_what_the_broken_answers_look_like(sim, caller, grant):
    heard = {}
    sim.faults = Faults(retry_after=2.5)
    for fault in ("bad_json", "empty", "rate_limited", "spurious_logout", "maintenance", "html_502"):
        sim.next(fault)
        heard[fault] = await caller.update(sim.truth(grant.email, grant.fingerprint).token)

    assert heard["bad_json"].body.startswith(b'{"newT')
    assert not heard["bad_json"].body.endswith(b"}")
    assert heard["empty"].body == b""
    assert heard["rate_limited"].header("retry-after") == "3"
    assert heard["spurious_logout"].json() == {"logout": 1}
    assert heard["maintenance"].body.startswith(b"<html>")
    assert heard["html_502"].body.startswith(b"<html>")


async def test_faults_strike_their_paths_at_their_rate_and_a_seed_repeats_them(caller, clock):
    async def struck():
        sim = Simulator(
            Rules(old_token="stateless"), Faults(error_500=0.2, empty=0.1), clock=clock, rng=random.Random(3)
        )
        grant = sim.open_session("a@example.com", "f")
        from_caller = type(caller)(sim)
        for _ in range(1000):
            await from_caller.update(grant.token, "f")
            await from_caller.who_am_i(grant)
        return sim.totals.faults, [entry.fault for entry in sim.log if entry.path == "/api/whoami"]

    counts, on_whoami = await struck()

    assert 150 < counts["error_500"] < 250
    assert 60 < counts["empty"] < 140
    assert set(on_whoami) == {None}
    assert (await struck())[0] == counts


async def test_a_queued_fault_waits_for_its_path_and_session(sim, caller, grant, fingerprint):
    other = sim.open_session("eva@example.com", fingerprint)
    sim.next("error_500", times=2, path="*", session=(other.email, fingerprint))

    assert (await caller.update(grant.token)).status == 200
    assert (await caller.update(other.token)).status == 500
    assert (await caller.set_refresh(other.token)).status == 500
    assert (await caller.update(other.token)).status == 200
    with pytest.raises(ValueError, match="unknown fault 'earthquake'; known are reset_before, "):
        sim.next("earthquake")
    with pytest.raises(LookupError, match="knows no session of nobody@"):
        sim.next("hang", session=("nobody@example.com", fingerprint))


async def test_latency_is_spent_before_the_work_and_the_clock_knows_who_waits(sim, caller, grant, clock):
    sim.faults = Faults(latency=2, jitter=1)
    asking = asyncio.ensure_future(caller.update(grant.token))
    await clock.settle()

    assert (sim.waiting, sim.in_flight, sim.busy()) == (1, 1, False)
    assert sim.accepts(grant.email, grant.fingerprint, grant.token)
    assert "newToken" in (await clock.finish(asking, at_most=3)).json()


async def test_two_updates_of_one_session_together_are_counted_and_so_is_the_reuse(
    sim, caller, grant, clock, fingerprint
):
    sim.faults = Faults(latency=1, paths=("*",))
    other = sim.open_session("eva@example.com", fingerprint)
    asking = asyncio.gather(
        caller.update(grant.token), caller.set_refresh(grant.token), caller.update(other.token), caller.who_am_i(grant)
    )
    await clock.finish(asking)

    truth = caller.truth()
    assert (truth.concurrent, truth.reuse) == (1, 1)
    assert (sim.totals.concurrent, sim.totals.reuse, sim.totals.max_in_flight) == (1, 1, 4)
    assert sim.truth("eva@example.com", fingerprint).concurrent == 0


async def test_a_caller_cancelled_after_the_work_lost_its_reply(sim, caller, grant, clock):
    sim.faults = Faults(hang_works=True)
    sim.next("hang")
    asking = asyncio.ensure_future(caller.update(grant.token))
    await clock.settle()

    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    truth = caller.truth()
    assert (truth.replies_lost, truth.in_flight, sim.waiting) == (1, 0, 0)


async def test_a_lost_login_counts_too(sim, caller, email):
    sim.add_account(email, "right")
    sim.next("empty", path="/api/login")

    await caller.log_in("right")

    truth = caller.truth()
    assert (truth.logins, truth.replies_lost) == (1, 1)


async def test_for_twenty_seconds_everybody_is_logged_out_then_all_live_again(sim, caller, grant, clock):
    sim.rules = Rules(old_token="strict")
    sim.play(Faults(logout_all=True, whoami_empty=True), seconds=20)
    clock.advance(19.9)

    assert (await caller.update(grant.token)).json() == {"logout": 1}
    assert b"localStorage" not in (await caller.set_refresh(grant.token)).body
    assert await caller.who_am_i(grant) == []
    clock.advance(0.1)

    assert await caller.who_am_i(grant)
    assert "newToken" in (await caller.update(grant.token)).json()
    assert (sim.totals.rotations, sim.totals.reuse, sim.totals.died) == (1, 0, {})


async def test_plays_within_plays_end_with_the_faults_that_were_set(sim, clock):
    kept = sim.faults = Faults(empty=0.5)
    sim.play(Faults(maintenance=1), seconds=20)
    sim.play(Faults(hang=1), seconds=5)
    clock.advance(5)

    assert sim.faults == kept


async def test_the_dead_may_be_revived_with_the_token_they_had(*, sim, caller, grant, clock, email, fingerprint):
    sim.open_session("eva@example.com", fingerprint)
    sim.kill(email, fingerprint)
    assert caller.truth().died_of == "killed"
    assert (await caller.update(grant.token)).json() == {"logout": 1}

    sim.revive(email, fingerprint)
    assert "newToken" in (await caller.update(grant.token)).json()
    clock.advance(90 * 60)
    assert [truth.alive for truth in sim.truths()] == [False, False]

    sim.revive_all()
    assert [truth.alive for truth in sim.truths()] == [True, True]
