"""What `/metrics` tells: the truth, about nobody in particular, from a list that does not grow."""

import re
import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from aimkeeper import __version__
from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.outcome import Life, Reason
from aimkeeper.core.session import Status, Turn
from aimkeeper.core.telling import Problem
from aimkeeper.telemetry.metrics import BOUNDS

from .conftest import DEVICE, REFERENCE, tool

SPENDS = {"token_update", "setrefresh", "spare"}
BUCKETS = {str(float(bound)) for bound in BOUNDS} | {"+Inf"}
# Every label there is, with every value it may have.
LABELS = {
    "aimkeeper_sessions": {"status": {status.value for status in Status}},
    "aimkeeper_events": {"kind": {kind.value for kind in EventKind}},
    "aimkeeper_exchanges": {
        "via": SPENDS | {"whoami", "other"},
        "what": {"rotated", "logged_out", "other"} | {word.value for word in (*Reason, *Life)},
    },
    "aimkeeper_messages": {
        "channel": {"discord", "webhook", "apprise", "heartbeat"},
        "outcome": {"told"} | {word.value for word in Problem},
    },
    "aimkeeper_exchange_seconds": {"via": SPENDS | {"whoami", "other"}, "le": BUCKETS},
    "aimkeeper_exposure_seconds": {"le": BUCKETS},
    "aimkeeper_lateness_seconds": {"le": BUCKETS},
    "aimkeeper_commit_seconds": {"le": BUCKETS},
    "aimkeeper_claim_seconds": {"le": BUCKETS},
    "aimkeeper_info": {"version": {__version__}},
}


def labels_of(families) -> dict[str, dict[str, set[str]]]:
    found: dict[str, dict[str, set[str]]] = {}
    for family in families:
        for sample in family.samples:
            for name, value in sample.labels.items():
                found.setdefault(family.name, {}).setdefault(name, set()).add(value)
    return found


# ------------------------------------------------------------ labels and names


async def test_each_label_has_its_values_from_a_closed_list_and_all_of_them_from_the_beginning(stage):
    await stage.text()

    families = list(stage.telemetry.registry.collect())

    assert labels_of(families) == LABELS
    # A counter that comes into being with its first count is one that Prometheus sees no rise in.
    assert {sample.value for family in families if family.type == "counter" for sample in family.samples} == {0.0}


async def test_whatever_happens_there_are_no_more_series_than_at_the_beginning(stage):
    before = set(await stage.numbers())
    await stage.adopt(20)
    keeper = stage.service.keeper
    stage.sim.faults = replace(stage.sim.faults, error_500=0.2, reset_after=0.2, rate_limited=0.1, bad_json=0.1)
    stage.sim.kill("member00003@example.com", DEVICE)
    async with stage.working():
        await stage.clock.run(60)
    for kind in EventKind:
        keeper.hearers.tell(Event(kind=kind, at=stage.clock.now(), session_id="1", email="ana@example.com"))
    keeper.hearers.tell_turn(Turn(0.0, "what nobody foresaw", "by a way nobody knows", 1, 5, "mark"))

    after = await stage.numbers()

    # These two are told once there is something to tell.
    assert set(after) - before == {"aimkeeper_lowest_slack_seconds", "aimkeeper_last_tick_timestamp_seconds"}
    assert before - set(after) == set()
    assert after["aimkeeper_exchanges_total{'via': 'other', 'what': 'other'}"] == 1


async def test_no_number_is_about_anybody(stage):
    sessions = await stage.adopt(3)
    stage.sim.kill(sessions[0].email, DEVICE)
    async with stage.working():
        await stage.clock.run(60)

    text = await stage.text()

    assert re.search(r'aimkeeper_events_total\{kind="ended"\} 1\.0', text)
    assert "@" not in text
    for session in sessions:
        now = stage.sim.truth(session.email, DEVICE)
        assert not [
            word for word in (session.id, session.account_key, DEVICE, now.token, now.token[-12:]) if word in text
        ]


async def test_promtool_finds_the_names_as_prometheus_wants_them(stage):
    await stage.adopt(2)
    async with stage.working():
        await stage.clock.run(5)

        checked = tool("check", "metrics", input=await stage.text())

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


async def test_the_reference_page_lists_exactly_the_metrics_of_the_registry(stage):
    await stage.adopt()
    async with stage.working():
        await stage.text()
    page = (REFERENCE / "metrics.md").read_text("utf-8")

    told = re.findall(r"^\| `(aimkeeper_\w+)(?:\{([\w,]+)\})?` \| (\w+) \|", page, re.MULTILINE)

    there = []
    for family in stage.telemetry.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ",".join(name for name in LABELS.get(family.name, ()) if name != "le")
        there.append((name, labels, family.type))
    assert sorted(told) == sorted(there)


# ------------------------------------------------------------ the truth


async def test_sessions_are_counted_by_status_and_by_need(stage):
    sessions = await stage.adopt(4)
    await stage.service.entry.log_out(sessions[0])
    stage.clock.advance(30 * 60)

    told = await stage.numbers()

    assert {status: told[f"aimkeeper_sessions{{'status': '{status}'}}"] for status in Status} == {
        "active": 3, "in_doubt": 0, "suspected": 0, "token_lost": 0, "ended": 1,
    }  # fmt: skip
    assert (told["aimkeeper_overdue_sessions"], told["aimkeeper_at_risk_sessions"]) == (3, 3)
    assert told["aimkeeper_failing_sessions"] == 0
    assert told["aimkeeper_lowest_slack_seconds"] == 60 * 60


async def test_below_zero_slack_says_how_long_ago_the_first_deadline_was(stage):
    await stage.adopt()
    stage.clock.advance(91 * 60)

    assert (await stage.numbers())["aimkeeper_lowest_slack_seconds"] == -60


async def test_without_sessions_nothing_is_said_about_their_slack(stage):
    assert "aimkeeper_lowest_slack_seconds" not in await stage.numbers()


async def test_rotations_are_counted_by_what_came_and_measured_from_due_time_to_commit(stage):
    await stage.adopt(3)
    stage.sim.next("rate_limited", session=("member00001@example.com", DEVICE))
    stage.clock.advance(7)
    async with stage.working():
        await stage.clock.run(2)

    told = await stage.numbers()

    # Three that waited seven seconds, and the one that was asked to come again.
    assert told["aimkeeper_exchanges_total{'via': 'token_update', 'what': 'rotated'}"] == 3
    assert told["aimkeeper_exchanges_total{'via': 'token_update', 'what': 'rate_limited'}"] == 1
    assert told["aimkeeper_exchange_seconds_count{'via': 'token_update'}"] == 4
    assert told["aimkeeper_lateness_seconds_count"] == 4
    assert told["aimkeeper_lateness_seconds_bucket{'le': '5.0'}"] == 1
    assert told["aimkeeper_lateness_seconds_bucket{'le': '10.0'}"] == 4
    assert told["aimkeeper_lateness_seconds_sum"] == pytest.approx(21, abs=1)
    assert told["aimkeeper_exposure_seconds_count"] == 4
    assert 2 <= told["aimkeeper_commit_seconds_count"] <= 4
    assert told["aimkeeper_claim_seconds_count"] >= 2


async def test_the_rates_are_what_comes_due_what_is_allowed_and_what_was_done(stage):
    await stage.adopt(60)
    async with stage.working():
        await stage.clock.run(20 * 60)

    told = await stage.numbers()

    assert told["aimkeeper_allowed_rate"] == 20
    assert told["aimkeeper_due_rate"] == pytest.approx(60 / (15 * 60 * 0.9))
    assert told["aimkeeper_measured_rate"] == pytest.approx(told["aimkeeper_due_rate"], rel=0.5)


@pytest.mark.parametrize(
    ("metric", "changes"),
    [
        ("outage", {"outage_at": 0}),
        ("outage", {"outage_at": -60, "recovered_at": 0}),
        ("verdicts_held", {"held_at": 0}),
        ("throttled", {"throttled_until": 60}),
        ("paused", {"paused_at": -60}),
        ("paused", {"paused_at": -60, "paused_until": 60}),
    ],
    ids=[
        "an outage",
        "an outage that ends",
        "verdicts held",
        "a request to wait",
        "a pause for good",
        "a pause for a while",
    ],
)
async def test_the_fleet_s_state_is_told_while_it_lasts(stage, metric, changes):
    now = stage.service.store.now()
    fleet = await stage.service.store.fleet.read()
    moments = {name: now + timedelta(seconds=seconds) for name, seconds in changes.items()}
    before = await stage.numbers()
    await stage.service.store.fleet.change(replace(fleet, **moments), None)

    told = await stage.numbers()

    states = ("outage", "verdicts_held", "throttled", "paused")
    assert {name: before[f"aimkeeper_{name}"] for name in states} == dict.fromkeys(states, 0)
    assert {name: told[f"aimkeeper_{name}"] for name in states} == dict.fromkeys(states, 0) | {metric: 1}


@pytest.mark.parametrize("changes", [{"throttled_until": -1}, {"paused_at": -60, "paused_until": -1}])
async def test_what_is_over_is_not_told(stage, changes):
    now = stage.service.store.now()
    fleet = await stage.service.store.fleet.read()
    moments = {name: now + timedelta(seconds=seconds) for name, seconds in changes.items()}
    await stage.service.store.fleet.change(replace(fleet, **moments), None)

    told = await stage.numbers()

    assert (told["aimkeeper_throttled"], told["aimkeeper_paused"]) == (0, 0)


async def test_the_last_tick_is_this_process_s_worker_s_and_stands_still_when_it_does(stage):
    assert "aimkeeper_last_tick_timestamp_seconds" not in await stage.numbers()

    async with stage.working() as worker:
        await stage.clock.run(10)
        ticking = await stage.numbers()
        worker.stop()
        await stage.clock.run(100)
        stopped = await stage.numbers()

    last, now = ticking["aimkeeper_last_tick_timestamp_seconds"], stage.clock.now().timestamp()
    assert now - 100 - 2 <= last <= now - 100
    assert stopped["aimkeeper_last_tick_timestamp_seconds"] == pytest.approx(last, abs=0.01)


async def test_workers_are_counted_by_their_signs_of_life(stage):
    owners = stage.service.store.owners
    before = await stage.numbers()
    second = await owners.enrol("second", "worker")
    await owners.enrol("a command", "visitor")

    both = await stage.numbers()
    await owners.retire(second)

    assert [told["aimkeeper_workers"] for told in (before, both, await stage.numbers())] == [1, 2, 1]


async def test_spares_are_counted(stage):
    [session] = await stage.adopt()
    await stage.adopt()  # the token it replaces is put aside

    assert (await stage.service.store.get(session.id)).spares == 1
    assert (await stage.numbers())["aimkeeper_spares"] == 1


@pytest.fixture
def away(stage, monkeypatch):
    """Takes one verb of the store away."""

    def take(name: str) -> None:
        async def gone(*_args, **_kwargs):
            raise StoreUnavailable("the store is away.")

        monkeypatch.setattr(stage.service.store, name, gone)

    return take


async def test_while_the_store_can_not_be_read_a_process_tells_what_it_counted_itself(stage, away):
    await stage.adopt(2)
    async with stage.working():
        await stage.clock.run(5)
        there = await stage.numbers()
        away("standing")

        told = await stage.numbers()

    assert (there["aimkeeper_store_up"], told["aimkeeper_store_up"]) == (1, 0)
    assert told["aimkeeper_exchanges_total{'via': 'token_update', 'what': 'rotated'}"] == 2
    assert "aimkeeper_last_tick_timestamp_seconds" in told
    assert not [
        name for name in told if name.startswith(("aimkeeper_sessions", "aimkeeper_overdue", "aimkeeper_outage"))
    ]


async def test_fresh_tokens_that_the_store_does_not_take_are_counted_where_they_lie(stage, away, monkeypatch):
    await stage.adopt(2)
    async with stage.working():
        away("commit")
        await stage.clock.run(3)
        during = await stage.numbers()
        monkeypatch.undo()
        await stage.clock.run(3)

        after = await stage.numbers()

    assert during["aimkeeper_spool_files"] >= 1
    assert after["aimkeeper_spool_files"] == 0


async def test_a_store_that_the_worker_can_not_write_is_not_up_though_it_can_be_read(stage):
    await stage.adopt()
    stage.service.store._backend._writer.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(stage.service.settings.database_path, isolation_level=None)
    async with stage.working():
        await stage.clock.run(3)
        other.execute("BEGIN EXCLUSIVE")
        stage.clock.advance(15 * 60)
        await stage.clock.run(3)
        during = await stage.numbers()
        other.execute("ROLLBACK")
        other.close()
        await stage.clock.run(3)

        after = await stage.numbers()

    assert (during["aimkeeper_store_up"], during["aimkeeper_overdue_sessions"]) == (0, 1)
    assert (after["aimkeeper_store_up"], after["aimkeeper_overdue_sessions"]) == (1, 0)


async def test_whoever_asks_does_not_wait_for_a_store_that_does_not_answer(stage, monkeypatch):
    monkeypatch.setattr("aimkeeper.telemetry.hearing.LOOK_SECONDS", 0.01)
    lock = stage.service.store._backend._read_lock

    async with lock:
        away = await stage.numbers()

    assert away["aimkeeper_store_up"] == 0
    assert (await stage.numbers())["aimkeeper_store_up"] == 1


async def test_who_was_told_and_who_could_not_be_is_counted_and_apprise_s_addresses_together(stage):
    tell = stage.telemetry.hear_told
    for channel, problem in (("discord", None), ("apprise-1", None), ("apprise-7", None), ("webhook", Problem.REFUSED)):
        tell(channel, problem)

    told = await stage.numbers()

    counted = {name: value for name, value in told.items() if name.startswith("aimkeeper_messages") and value}
    assert counted == {
        "aimkeeper_messages_total{'channel': 'discord', 'outcome': 'told'}": 1,
        "aimkeeper_messages_total{'channel': 'apprise', 'outcome': 'told'}": 2,
        "aimkeeper_messages_total{'channel': 'webhook', 'outcome': 'refused'}": 1,
    }


async def test_a_channel_that_can_not_be_told_is_counted_until_it_is_told_or_taken_away(stage):
    outbox, owner = stage.service.store.outbox, stage.service.keeper.owner
    boxes = [await outbox.enter(name) for name in ("discord", "webhook")]
    for box in boxes:
        await outbox.take(box.channel, owner)
        await outbox.write(replace(box, attempt=1, problem="refused"), owner)
    untold = [(await stage.numbers())["aimkeeper_untold_channels"]]

    await outbox.write(boxes[0], owner)
    untold.append((await stage.numbers())["aimkeeper_untold_channels"])
    await outbox.leave("webhook", owner)
    untold.append((await stage.numbers())["aimkeeper_untold_channels"])

    assert untold == [2, 1, 0]
