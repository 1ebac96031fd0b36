"""Credentials at hand: asked for once, whoever needs them, on a clock that the test owns."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from aimkeeper.client.credentials import Credentials
from aimkeeper.client.wallet import ASK_AGAIN_SECONDS, LONGEST_REST_SECONDS, Wallet
from aimkeeper.core.cookies import Cookie
from aimkeeper.core.errors import SessionEnded, StoreUnavailable, UpstreamUnavailable
from aimkeeper.testing import ManualClock

LIFE = timedelta(minutes=90)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Source:
    """Hands out numbered credentials, each with the number in every part: a torn one would show."""

    def __init__(self, slack=LIFE):
        self.slack = slack
        self.asked = []
        self.fails = None
        self.under_way = 0
        self.most_at_once = 0
        self.gate = threading.Event()
        self.gate.set()
        self.begun = threading.Semaphore(0)

    def fetch(self, min_slack, *, renews):
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        self.begun.release()
        assert self.gate.wait(10)
        self.under_way -= 1
        self.asked.append(renews)
        if self.fails:
            raise self.fails
        number = len(self.asked)
        return Credentials(
            email=f"{number}@example.com",
            fingerprint=f"{number}",
            token=f"{number}",
            cookies=(Cookie("amhrdrauth", f"{number}", "aimharder.com", host_only=False),),
            over_tls_only=False,
            rotated_at=NOW,
            deadline_at=NOW + LIFE,
            slack=self.slack,
        )


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def wallet(source, clock):
    return Wallet(source, timedelta(minutes=1), clock)


def test_they_are_asked_for_once_and_kept_until_their_slack_falls_below_what_is_wanted(wallet, source, clock):
    first = wallet.get()
    clock.advance(89 * 60)
    last = wallet.get()
    clock.advance(0.1)
    next_one = wallet.get()

    assert first is last
    assert source.asked == [False, False]
    assert [first.generation, next_one.generation] == [1, 2]


def test_time_that_the_machine_slept_counts(wallet, source, clock):
    wallet.get()
    clock.suspend(90 * 60)

    assert wallet.at_hand() is None
    assert wallet.get().generation == 2


def test_a_wall_clock_that_is_set_changes_nothing(wallet, source, clock):
    wallet.get()
    clock.set_wall(NOW + timedelta(days=400))

    assert wallet.at_hand() is wallet.get()
    assert source.asked == [False]


def test_threads_that_need_them_at_once_share_one_question_and_one_answer(wallet, source):
    source.gate.clear()
    with ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(wallet.get) for _ in range(20)]
        source.begun.acquire()
        source.gate.set()
        got = {one.result() for one in asked}

    assert len(got) == 1
    assert (source.asked, source.most_at_once) == ([False], 1)


def test_no_torn_credentials_are_ever_seen(wallet, source, clock):
    source.slack = timedelta(0)  # asked for anew each time

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: wallet.get(), range(200)))

    assert all(
        {one.email.partition("@")[0], one.fingerprint, one.token, one.cookies[0].value, str(one.generation)}
        == {one.token}
        for one in seen
    )
    assert source.most_at_once == 1


@pytest.mark.parametrize("error", [SessionEnded("over"), UpstreamUnavailable("not now"), ZeroDivisionError()])
def test_all_who_wait_hear_of_the_same_failure_and_the_next_one_asks_again(wallet, source, error):
    source.fails = error
    source.gate.clear()
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(wallet.get) for _ in range(5)]
        source.begun.acquire()
        source.gate.set()
        heard = [one.exception() for one in asked]
    source.fails = None

    assert all(one is error for one in heard)
    assert wallet.get().generation == 1


@pytest.mark.parametrize("error", [UpstreamUnavailable("not now"), StoreUnavailable("not here")])
def test_what_still_serves_is_used_while_no_more_can_be_had_and_the_source_is_left_alone(wallet, source, clock, error):
    held = wallet.get()
    clock.advance(89 * 60 + 30)
    source.fails = error

    used = [wallet.get() for _ in range(3)]
    clock.advance(ASK_AGAIN_SECONDS)
    wallet.get()

    assert all(one is held for one in used)
    assert source.asked == [False, False, False]


def test_past_their_deadline_they_serve_no_longer(wallet, source, clock):
    wallet.get()
    clock.advance(90 * 60)
    source.fails = UpstreamUnavailable("not now")

    with pytest.raises(UpstreamUnavailable):
        wallet.get()


def test_a_session_that_ended_is_not_gone_on_with_though_its_deadline_is_far(wallet, source, clock):
    wallet.get()
    clock.advance(89 * 60 + 30)
    source.fails = SessionEnded("over")

    for _ in range(2):
        with pytest.raises(SessionEnded):
            wallet.get()


# ---------------------------------------------------------------- refused


def test_after_a_refusal_new_ones_are_asked_for_and_used(wallet, source):
    refused = wallet.get()

    wallet.refuse(refused.generation)

    assert wallet.get().generation == 2
    assert source.asked == [False, True]


def test_many_who_were_refused_with_the_same_share_one_renewal(wallet, source):
    used = wallet.get()
    source.gate.clear()

    def refused(_):
        wallet.refuse(used.generation)
        return wallet.get()

    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(refused, number) for number in range(10)]
        source.begun.acquire(timeout=10)
        source.begun.acquire(timeout=10)
        source.gate.set()
        got = {one.result().generation for one in asked}
    wallet.refuse(used.generation)  # one whose answer was slow

    assert got == {2}
    assert wallet.get().generation == 2
    assert source.asked == [False, True]


def test_a_question_that_was_under_way_before_the_refusal_does_not_count_as_the_renewal(wallet, source, clock):
    used = wallet.get()
    clock.advance(89 * 60 + 30)
    source.gate.clear()
    source.begun.acquire()
    with ThreadPoolExecutor(2) as pool:
        plain = pool.submit(wallet.get)
        source.begun.acquire()
        wallet.refuse(used.generation)
        renewed = pool.submit(wallet.get)
        source.gate.set()

        assert plain.result().generation == 2
        assert renewed.result().generation == 3
    assert source.asked == [False, False, True]


def test_a_renewal_that_brought_what_is_as_dead_is_followed_by_another_at_once(wallet, source):
    # A rotation may overtake the logout: what it brings was given before, and is refused as well.
    wallet.refuse(wallet.get().generation)
    wallet.refuse(wallet.get().generation)

    assert wallet.get().generation == 3
    assert source.asked == [False, True, True]


def test_whoever_is_refused_again_and_again_makes_no_storm_of_rotations(wallet, source, clock):
    wallet.get()
    renewed_at, began_at = [], clock.boottime()
    for second in range(150):
        for _ in range(5):
            wallet.refuse(wallet.get().generation)
        renewed_at += [second] * (source.asked.count(True) - len(renewed_at))
        clock.advance(1)

    assert clock.boottime() - began_at == 150
    assert renewed_at == [0, 0, 1, 3, 7, 15, 31, 61, 91, 121]


def test_a_logout_long_after_the_last_is_answered_as_fast_as_the_first(wallet, source, clock):
    for _ in range(4):
        wallet.refuse(wallet.get().generation)
    clock.advance(2 * LONGEST_REST_SECONDS + 1)
    asked_before = source.asked.count(True)

    for _ in range(4):
        wallet.refuse(wallet.get().generation)

    assert (asked_before, source.asked.count(True)) == (2, 4)


def test_a_renewal_that_failed_is_tried_again_by_the_next_one(wallet, source):
    wallet.refuse(wallet.get().generation)
    source.fails = UpstreamUnavailable("not now")
    with pytest.raises(UpstreamUnavailable):
        wallet.get()
    source.fails = None

    assert wallet.get().generation == 2
    assert source.asked == [False, True, True]


async def test_a_task_that_stops_waiting_takes_nothing_from_the_others(wallet, source):
    source.gate.clear()
    impatient, patient = [asyncio.create_task(asyncio.to_thread(wallet.get)) for _ in range(2)]
    await asyncio.to_thread(source.begun.acquire)

    impatient.cancel()
    source.gate.set()

    assert (await patient).generation == 1
    assert source.asked == [False]
