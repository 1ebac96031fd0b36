"""All sessions at once: at a glance, held verdicts, pause and resume."""

import asyncio

import pytest

from aimkeeper.core.events import EventKind
from aimkeeper.core.session import Cause, Status
from aimkeeper.simulator import Faults, Rules


async def glance(house, **what):
    return (await house.ask("GET", "/api/status", **(what or {"by": house.operator}))).json()


# ---------------------------------------------------------------- at a glance


async def test_an_empty_house_at_a_glance(house):
    told = await glance(house)

    assert told["sessions"]["total"] == 0
    assert (told["lowest_slack_seconds"], told["next_due_at"]) == (None, None)
    assert told["upstream"] == {
        "state": "well",
        "since": None,
        "verdicts_held_since": None,
        "paused": False,
        "paused_until": None,
        "barred": None,
    }
    assert told["rates"] == {"due": 0.0, "allowed": 1000.0, "measured": 0.0, "enough": True}


async def test_sessions_are_counted_by_where_they_stand_and_the_lowest_slack_is_told(house):
    sessions = await house.adopt(*(f"member{number}@example.com" for number in range(4)))
    house.sim.kill(sessions[0].email, sessions[0].fingerprint)
    house.clock.advance(60)
    await house.exchange(sessions[0].token.text, sessions[0].fingerprint)
    await house.service.entry.log_out(sessions[1])

    told = await glance(house)

    counts = told["sessions"]
    assert (counts["total"], counts["living"], counts["active"], counts["ended"]) == (4, 2, 2, 2)
    assert (counts["ended_today"], counts["overdue"], counts["failing"]) == (2, 2, 0)
    assert 5300 < told["lowest_slack_seconds"] < 5400
    assert told["rates"]["due"] == pytest.approx(2 / (900 * 0.9))


async def test_what_is_cheap_to_count_is_counted_for_every_look_and_what_is_dear_once_in_a_while(house):
    counted = []

    async def count():
        counted.append(house.clock.monotonic())
        await house.clock.sleep(seconds)
        return await standing()

    standing, house.service.standing = house.service.standing, count

    seconds = 0.01
    await glance(house)
    await glance(house)
    cheap = len(counted)
    seconds = 0.1
    await glance(house)
    for _ in range(40):  # two seconds, which is twenty times what it took
        house.clock.advance(0.05)
        await glance(house)

    assert cheap == 2
    assert len(counted) - cheap == 2


async def test_what_ended_yesterday_did_not_end_today(house):
    [session] = await house.adopt("ana@example.com")
    await house.service.entry.log_out(session)
    house.clock.advance(13 * 3600)

    assert (await glance(house))["sessions"]["ended_today"] == 0


async def test_those_who_keep_are_named(house):
    house.worker = house.service.worker("the night shift")
    task = asyncio.create_task(house.worker.run())
    await house.clock.run(1)

    told = await glance(house)

    house.worker.stop()
    await house.clock.finish(task)
    assert [keeper["name"] for keeper in told["workers"]] == ["aimkeeper"]
    assert told["workers"][0]["last_tick_at"] == "2026-01-01T12:00:00.000Z"


async def test_an_outage_of_the_site_is_seen_at_a_glance(house):
    await house.adopt(*(f"member{number:02}@example.com" for number in range(60)))
    house.clock.advance(10)
    house.sim.faults = Faults(error_500=1.0)
    await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)

    told = await glance(house)

    assert told["upstream"]["state"] == "out"
    assert told["upstream"]["since"]


async def test_the_operator_s_key_gets_no_page_s_token(house):
    assert (await glance(house))["csrf_token"] is None
    assert (await glance(house, headers=house.page()))["csrf_token"] == house.page()["x-csrf-token"]


# ---------------------------------------------------------------- held verdicts


@pytest.fixture
async def held(house):
    """Twelve sessions told to log out at once: their ends are held back."""
    house.sim.rules = Rules(old_token="stateless")
    sessions = await house.adopt(*(f"member{number:02}@example.com" for number in range(12)))
    house.clock.advance(10)
    house.sim.faults = Faults(spurious_logout=1.0, whoami_empty=True)
    await house.ask("POST", "/api/cron/refresh-tokens", by=house.cron)
    house.clock.advance(5)
    return sessions


async def test_held_verdicts_are_listed_in_pages(house, held):
    first = (await house.ask("GET", "/api/verdicts?limit=5", headers=house.page())).json()
    rest = (await house.ask("GET", "/api/verdicts", by=house.operator, params={"after": first["next"]})).json()

    listed = [session["email"] for session in (*first["sessions"], *rest["sessions"])]
    assert listed == [session.email for session in held]
    assert first["held_since"]
    assert {session["status"] for session in first["sessions"]} == {"suspected"}
    assert (await glance(house))["upstream"]["verdicts_held_since"] == first["held_since"]


async def test_accepted_verdicts_end_their_sessions(house, held):
    chosen = await house.ask("POST", "/api/verdicts/accept", json={"sessions": [held[3].id]}, by=house.operator)
    all_others = await house.ask("POST", "/api/verdicts/accept", headers=house.page())

    assert chosen.json() == {"success": True, "decided": 1, "remaining": 11}
    assert all_others.json() == {"success": True, "decided": 11, "remaining": 0}
    assert {(await house.service.store.get(one.id)).status for one in held} == {Status.ENDED}
    assert (await glance(house))["upstream"]["verdicts_held_since"] is None


async def test_verdicts_that_are_tried_again_go_first(house, held):
    house.sim.faults = Faults()

    answer = await house.ask("POST", "/api/verdicts/retry", headers=house.page())

    assert answer.json() == {"success": True, "decided": 12, "remaining": 0}
    assert {(await house.service.store.get(one.id)).status for one in held} == {Status.IN_DOUBT}


@pytest.mark.parametrize("sessions", ["x", [1], ["nobody"] * 201, {"a": 1}])
async def test_a_choice_that_is_no_list_of_ids_is_refused(house, sessions):
    answer = await house.ask("POST", "/api/verdicts/accept", json={"sessions": sessions}, by=house.operator)

    assert (answer.status_code, answer.json()["error"]) == (400, "sessions must be a list of at most 200 ids.")


async def test_a_choice_that_names_nobody_decides_nothing(house, held):
    answer = await house.ask(
        "POST", "/api/verdicts/accept", json={"sessions": [held[0].id, "nobody"]}, by=house.operator
    )

    assert answer.status_code == 404
    assert (await house.service.store.get(held[0].id)).cause is not Cause.SERVER_ENDED


# ---------------------------------------------------------------- pause and resume


async def test_a_pause_stops_everything_until_somebody_resumes(house):
    session = await house.log_in()

    paused = await house.ask("POST", "/api/pause", headers=house.page())
    refused = await house.exchange(session.token.text, session.fingerprint)
    resumed = [(await house.ask("POST", "/api/resume", by=house.operator)).json() for _ in range(2)]
    let_through = await house.exchange(session.token.text, session.fingerprint)

    assert paused.json() == {"success": True, "until": None}
    assert (refused.status_code, refused.json()["code"]) == (503, "paused")
    assert resumed == [{"success": True, "resumed": True}, {"success": True, "resumed": False}]
    assert let_through.status_code == 200


async def test_a_pause_can_have_an_end(house):
    answer = await house.ask("POST", "/api/pause", json={"for": "30m"}, by=house.operator)
    during = await glance(house)
    house.clock.advance(31 * 60)

    assert answer.json()["until"] == during["upstream"]["paused_until"] == "2026-01-01T12:30:00.000Z"
    assert during["upstream"]["paused"] is True
    assert (await glance(house))["upstream"]["paused"] is False


@pytest.mark.parametrize("lasting", ["0", "soon", "-5m", 30, True, "31d", ""])
async def test_a_pause_of_no_length_is_refused(house, lasting):
    answer = await house.ask("POST", "/api/pause", json={"for": lasting}, by=house.operator)

    assert answer.status_code == 400
    assert (await house.service.keeper.breaker.look(afresh=True)).paused_at is None


async def test_each_act_on_all_of_them_is_an_event(house):
    for path in ("/api/pause", "/api/resume", "/api/verdicts/accept", "/api/verdicts/retry"):
        await house.ask("POST", path, by=house.operator)

    told = await house.service.store.fleet.events()
    acts = [fact.data["act"] for fact in told if fact.kind is EventKind.OPERATOR_ACTED]
    assert acts == ["pause", "resume", "accept verdicts", "retry verdicts"]
