"""What happened, as log lines: for people or as JSON, with nothing in them that opens a door."""

import asyncio
import json
import logging

import pytest
import structlog

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.events import Event, EventKind
from aimkeeper.telemetry import redact, set_up_logs
from aimkeeper.telemetry.hearing import EVENT_LINES
from aimkeeper.telemetry.logs import LIBRARY_LINES, Quiet

TOKEN = "69232|1766907797|f3069323e00d81750c8590bb1f5f93b6"
ENCODED = TOKEN.replace("|", "%7C")


@pytest.fixture
def lines(capsys):
    """Sets logs up as asked, and reads back what was written."""

    def written():
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield written
    logging.getLogger().handlers.clear()
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("token", TOKEN, "[hidden]"),
        ("new_token", "x", "[hidden]"),
        ("Cookie", "a=b", "[hidden]"),
        ("password", "correct horse", "[hidden]"),
        ("Authorization", "Bearer x", "[hidden]"),
        ("cron_secret", "x", "[hidden]"),
        ("api_key", "x", "[hidden]"),
        ("token", None, "[hidden]"),
        ("anything", b"bytes", "[hidden]"),
        ("url", f"https://aimharder.com/setrefresh?token={ENCODED}&fingerprint=f", None),
        ("error", f"can't send {TOKEN} there", "can't send [hidden] there"),
        ("deep", {"a": [TOKEN, {"b": (TOKEN, 1)}]}, {"a": ["[hidden]", {"b": ["[hidden]", 1]}]}),
        ("token_mark", "f3069323e00d", "f3069323e00d"),
        ("email", "ana@example.com", "ana@example.com"),
        ("took_ms", 12, 12),
    ],
)
def test_what_opens_a_door_is_hidden_by_name_and_by_shape(name, value, shown):
    line = redact(None, "info", {name: value})

    if shown is None:
        shown = "https://aimharder.com/setrefresh?token=[hidden]&fingerprint=f"
    assert line == {name: shown}


def test_an_exception_of_a_library_is_told_by_type_and_place_never_by_its_text(lines):
    set_up_logs(as_json=True)
    try:
        int(f"secret {TOKEN}")
    except ValueError:
        logging.getLogger("some.library").exception("it failed")

    [line] = lines()
    assert (line["event"], line["level"], line["kind"]) == ("it failed", "error", "ValueError")
    assert line["where"].startswith("test_telemetry.py:")
    assert "secret" not in json.dumps(line)


async def test_a_task_that_nobody_waited_for_is_told_without_its_text(lines):
    set_up_logs(as_json=True)

    async def fail():
        raise ValueError("correct horse")

    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_exception_handler(
        {
            "message": f"Task exception was never retrieved\nfuture: {task!r}",
            "exception": ValueError("correct horse"),
        }
    )
    await asyncio.gather(task, return_exceptions=True)

    [line] = lines()
    assert (line["event"], line["kind"]) == ("Task exception was never retrieved", "ValueError")
    assert "horse" not in json.dumps(line)


@pytest.mark.parametrize("name", ["uvicorn.access", "uvicorn.error", "httpx", "pyreqwest.client"])
def test_libraries_that_repeat_whole_addresses_or_what_we_said_are_quiet(lines, name):
    set_up_logs(as_json=True)

    logging.getLogger(name).info("GET /setrefresh?token=x")

    assert lines() == []


def test_on_a_terminal_lines_are_for_people(capsys, lines):
    set_up_logs(as_json=False)

    structlog.get_logger("aimkeeper").info("ended", email="ana@example.com", token=TOKEN)

    written = capsys.readouterr().err
    assert "ended" in written
    assert "email=ana@example.com" in written
    assert TOKEN not in written


async def test_an_event_is_a_line_with_its_session_and_bad_news_is_a_warning(house, lines):
    set_up_logs(as_json=True)
    session = await house.log_in()
    house.sim.kill(session.email, session.fingerprint)
    await house.exchange(session.token.text, session.fingerprint)

    told = {line["event"]: line for line in lines()}

    assert told["logged_in"]["email"] == "ana@example.com"
    assert told["logged_in"]["level"] == "info"
    assert (told["ended"]["level"], told["ended"]["session"]) == ("warning", session.id)
    assert told["ended"]["cause"] == "server_ended"


@pytest.mark.parametrize(("level", "told"), [(logging.DEBUG, True), (logging.INFO, False)])
async def test_routine_exchanges_are_told_only_when_asked_for(house, lines, level, told):
    set_up_logs(as_json=True, level=level)

    session = await house.log_in()

    exchanges = [line for line in lines() if line["event"] == "exchange"]
    assert bool(exchanges) is told
    assert session.token.text not in json.dumps(exchanges)


async def test_a_store_that_stays_away_is_told_once_a_minute(house, lines):
    set_up_logs(as_json=True)
    hear = house.service.keeper.committer.trouble

    for _ in range(130):
        hear(StoreUnavailable("the database is away."))
        house.clock.advance(1)
    hear(StoreUnavailable("the disk is full."))

    told = [line["error"] for line in lines() if line["event"] == "store_unavailable"]
    assert told == ["the database is away."] * 3 + ["the disk is full."]


# ------------------------------------------------------------ nothing is said over and over


async def test_two_troubles_that_take_turns_are_told_once_a_minute_each_with_how_often_they_were_left_out(house, lines):
    set_up_logs(as_json=True)
    hear = house.service.keeper.committer.trouble

    for _ in range(61):
        hear(StoreUnavailable("the database is away."))
        hear(StoreUnavailable("the disk is full."))
        house.clock.advance(1)

    told = [(line["error"], line.get("left_out")) for line in lines() if line["event"] == "store_unavailable"]
    assert told == [
        ("the database is away.", None),
        ("the disk is full.", None),
        ("the database is away.", 59),
        ("the disk is full.", 59),
    ]


async def test_a_fault_is_told_once_a_minute_for_each_place_it_comes_from(house, lines):
    set_up_logs(as_json=True)
    faults = []
    for number in range(5):
        try:
            int(f"secret {number}")
        except ValueError as error:
            faults.append(error)

    for error in faults:
        house.service.keeper.hearers.tell_fault(error)

    told = [line["kind"] for line in lines() if line["event"] == "fault"]
    assert told == ["ValueError"]
    house.clock.advance(60)
    house.service.keeper.hearers.tell_fault(faults[0])
    house.service.keeper.hearers.tell_fault(KeyError("another kind"))
    assert [(line["kind"], line.get("left_out")) for line in lines()] == [("ValueError", 4), ("KeyError", None)]


async def test_of_each_kind_of_event_so_many_lines_are_written_a_minute_and_all_are_counted(house, lines):
    set_up_logs(as_json=True)
    flood = EVENT_LINES + 30

    for number in range(flood):
        house.service.keeper.hearers.tell(Event(kind=EventKind.SUSPICION, at=house.clock.now(), session_id=str(number)))
    house.service.keeper.hearers.tell(Event(kind=EventKind.ENDED, at=house.clock.now(), session_id="1"))
    house.clock.advance(60)
    house.service.keeper.hearers.tell(Event(kind=EventKind.SUSPICION, at=house.clock.now(), session_id="last"))

    told = lines()
    assert sum(line["event"] == "suspicion" for line in told) == EVENT_LINES + 1
    assert [line["session"] for line in told if line["event"] == "ended"] == ["1"]
    assert (told[-1]["session"], told[-1]["left_out"]) == ("last", 30)
    metrics = (await house.telemetry.metrics()).decode()
    assert f'aimkeeper_events_total{{kind="suspicion"}} {flood + 1}.0\n' in metrics


def test_a_library_that_says_the_same_over_and_over_is_heard_so_often_a_minute(lines):
    set_up_logs(as_json=True)
    library, other = logging.getLogger("some.library"), logging.getLogger("another")

    for number in range(LIBRARY_LINES * 3):
        library.warning("try %d failed\nas follows", number)
        library.warning(f"number {number}")
    other.warning("try %d failed", 1)

    told = [line["event"] for line in lines()]
    assert sum(line.startswith("try") for line in told) == LIBRARY_LINES + 1
    assert sum(line.startswith("number") for line in told) == LIBRARY_LINES * 3


def test_what_repeats_may_be_said_anew_when_its_minute_is_over():
    quiet = Quiet(2)

    asked = [(at, quiet.asks("a", at)) for at in (0, 1, 2, 3, 59.9, 60, 61, 62, 500)]

    assert asked == [(0, 0), (1, 0), (2, None), (3, None), (59.9, None), (60, 3), (61, 0), (62, None), (500, 1)]


def test_whatever_is_said_its_memory_does_not_grow_for_ever():
    quiet = Quiet(1)

    for number in range(5000):
        quiet.asks(number, 0.0)

    assert len(quiet._said) <= 1000
