"""What the charts show: counts and durations by the minute, slack by parts."""

from datetime import timedelta

import pytest

from aimkeeper.simulator import Faults

MINUTE = timedelta(minutes=1)


async def series(house, minutes=60):
    answer = await house.ask("GET", f"/api/series?minutes={minutes}", headers=house.page())
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_the_exchanges_of_each_minute_brought_is_told_minute_by_minute(house):
    sessions = await house.adopt("ana@example.com", "berta@example.com")
    for session in sessions:
        house.clock.advance(60)
        await house.ask("POST", f"/api/sessions/{session.id}/rotate", by=house.operator)
    house.clock.advance(120)

    told = await series(house, 5)

    assert [slot["rotated"] for slot in told["slots"]] == [0, 1, 1, 0, 0]
    assert (told["slots"][-1]["at"], told["now"]) == ("2026-01-01T12:04:00.000Z", "2026-01-01T12:04:00.000Z")
    assert told["step_seconds"] == 60


async def test_failures_and_logouts_are_counted_apart(house):
    ana, berta = await house.adopt("ana@example.com", "berta@example.com")
    house.clock.advance(60)
    house.sim.kill(berta.email, berta.fingerprint)
    await house.ask("POST", f"/api/sessions/{berta.id}/rotate", by=house.operator)
    house.sim.faults = Faults(error_500=1.0)
    await house.ask("POST", f"/api/sessions/{ana.id}/rotate", by=house.operator)

    slots = (await series(house, 10))["slots"]

    assert sum(slot["logged_out"] for slot in slots) == 2
    assert sum(slot["failed"] for slot in slots) >= 1
    assert sum(slot["rotated"] for slot in slots) == 0


async def test_how_long_exchanges_took_is_told_from_whatever_process_counted_it(house):
    house.sim.faults = Faults(latency=0.12)
    [session] = await house.adopt("ana@example.com")
    house.clock.advance(60)
    await house.ask("POST", f"/api/sessions/{session.id}/rotate", by=house.operator)
    before = (await series(house, 1))["slots"][0]["took"]
    await house.telemetry.minutes.flush()

    took = (await series(house, 1))["slots"][0]["took"]

    assert before is None
    # 0.12 s lies between the bounds 0.1 and 0.15.
    assert 0.1 < took["p50"] <= took["p95"] <= took["p99"] <= 0.15


async def test_how_late_rotations_began_is_told(house):
    house.telemetry.minutes.note_lateness(0.4)
    await house.telemetry.minutes.flush()

    assert 0.3 < (await series(house, 1))["slots"][0]["late"]["p99"] <= 0.5


async def test_what_the_store_could_not_take_is_counted_later(house):
    house.telemetry.minutes.note_lateness(0.4)
    with house.store_away(), pytest.raises(Exception, match="database"):
        await house.telemetry.minutes.flush()

    await house.telemetry.minutes.flush()

    assert (await series(house, 1))["slots"][0]["late"] is not None


@pytest.mark.parametrize(("minutes", "step", "slots"), [(1, 60, 1), (60, 60, 60), (360, 300, 72), (1440, 900, 96)])
async def test_no_chart_has_a_hundred_slots_however_far_back_it_looks(house, minutes, step, slots):
    told = await series(house, minutes)

    assert (told["step_seconds"], len(told["slots"])) == (step, slots)


@pytest.mark.parametrize("minutes", ["0", "1441", "-5", "x", ""])
async def test_no_other_time_can_be_asked_for(house, minutes):
    answer = await house.ask("GET", f"/api/series?minutes={minutes}", by=house.operator)

    assert answer.status_code == 400


async def test_living_sessions_are_counted_by_the_time_they_have_left(house):
    ana, _ = await house.adopt("ana@example.com", "berta@example.com")
    [gone] = await house.adopt("gone@example.com")
    await house.service.entry.log_out(gone)
    house.clock.advance(41 * 60)
    await house.ask("POST", f"/api/sessions/{ana.id}/rotate", by=house.operator)

    slack = (await series(house))["slack"]

    # Idle sessions live for 90 minutes: 18 parts of five. One has all of them, the other 49 minutes.
    assert (slack["part_seconds"], len(slack["parts"]), slack["past"]) == (300.0, 18, 0)
    assert [part for part, count in enumerate(slack["parts"]) if count] == [9, 17]
    assert (slack["sampled"], slack["living"]) == (2, 2)
    assert slack["at_risk_below"] == (90 - 29) * 60


async def test_those_past_their_deadline_are_counted_apart(house):
    await house.adopt("ana@example.com")
    house.clock.advance(91 * 60)

    slack = (await series(house))["slack"]

    assert (slack["past"], sum(slack["parts"])) == (1, 0)


async def test_of_many_sessions_a_thousand_are_looked_at(house):
    await house.adopt(*(f"member{number:04}@example.com" for number in range(1100)))

    slack = (await series(house))["slack"]

    assert (slack["sampled"], slack["living"], sum(slack["parts"])) == (1000, 1100, 1000)


# ---------------------------------------------------------------- beside the charts


async def test_those_that_would_die_first_can_be_listed_whatever_their_names(house):
    zoe = (await house.adopt("zoe@example.com"))[0]
    house.clock.advance(60)
    ana, berta = await house.adopt("ana@example.com", "berta@example.com")
    await house.service.entry.log_out(berta)

    told = (await house.ask("GET", "/api/sessions?order=deadline&limit=5", headers=house.page())).json()

    assert [session["id"] for session in told["sessions"]] == [zoe.id, ana.id]
    assert told["next"] is None


@pytest.mark.parametrize(
    "more", ["order=name", "order=deadline&q=a", "order=deadline&status=active", "order=deadline&after=a%23b"]
)
async def test_another_order_is_refused(house, more):
    answer = await house.ask("GET", f"/api/sessions?{more}", by=house.operator)

    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "order may be deadline, and then goes with limit alone.",
    )


async def test_the_latest_events_can_be_had_and_a_stream_goes_on_from_them(house):
    await house.adopt(*(f"member{number}@example.com" for number in range(5)))

    last = (await house.ask("GET", "/api/events?latest=true&limit=2", headers=house.page())).json()
    none = (await house.ask("GET", f"/api/events?after={last['next']}", headers=house.page())).json()
    await house.adopt("zoe@example.com")
    after = (await house.ask("GET", f"/api/events?after={last['next']}", headers=house.page())).json()

    assert [fact["email"] for fact in last["events"]] == ["member3@example.com", "member4@example.com"]
    assert none["events"] == []
    assert [fact["email"] for fact in after["events"]] == ["zoe@example.com"]


async def test_without_any_event_the_latest_are_none_and_a_stream_begins_at_the_first(house):
    told = (await house.ask("GET", "/api/events?latest=true", by=house.operator)).json()

    assert (told["events"], told["next"]) == ([], "0")
