"""`/api/events`: nothing skipped, nothing twice; pages, a stream, and how it is resumed."""

import asyncio
import json
from contextlib import asynccontextmanager

import httpx
import pytest

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.events import EventKind
from aimkeeper.serving import bind, serving
from aimkeeper.store.feed import Place
from aimkeeper.web import feed

STREAM = {"accept": "text/event-stream"}
LASTS = feed.STREAM_SECONDS


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Streams end soon: a quarter of an hour is many turns of the loop."""
    monkeypatch.setattr(feed, "STREAM_SECONDS", 20.0)


async def record(house, count, first=0):
    for number in range(first, first + count):
        await house.service.audit.record(EventKind.OPERATOR_ACTED, act=f"{number}", by="key")


def events_in(text):
    """(id, kind, data) of every event in what a stream said."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in lines:
            found.append((lines["id"], lines["event"], json.loads(lines["data"])))
    return found


def acts(found):
    return [data["data"]["act"] for _, _, data in found]


def listening(house, query="", **headers):
    """A stream that is being listened to; what it said is there once it has ended."""
    headers = STREAM | {"authorization": f"Bearer {house.operator}"} | headers
    return asyncio.create_task(house.caller().get(f"/api/events{query}", headers=headers))


async def stream(house, query="", **headers):
    """All that a stream says until it ends by itself."""
    return await ended(house, listening(house, query, **headers))


async def ended(house, stream):
    answer = await house.clock.finish(stream)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    return answer


# ---------------------------------------------------------------- pages


async def test_pages_follow_one_another_from_the_oldest_without_gap_or_double(house):
    await record(house, 7)
    seen, after = [], ""
    for _ in range(4):
        page = (await house.ask("GET", f"/api/events?limit=2&after={after}", headers=house.page())).json()
        seen += [fact["data"]["act"] for fact in page["events"]]
        after = page["next"]
    await record(house, 1, first=7)
    last = (await house.ask("GET", f"/api/events?after={after}", headers=house.page())).json()

    assert seen == [str(number) for number in range(7)]
    assert [fact["data"]["act"] for fact in last["events"]] == ["7"]


async def test_an_event_names_its_session_and_no_secret(house):
    session = await house.log_in(remember=True)

    answer = await house.ask("GET", "/api/events", by=house.operator)

    [fact] = answer.json()["events"]
    assert (fact["kind"], fact["session"], fact["email"]) == ("logged_in", session.id, session.email)
    assert fact["data"]["token"] != session.token.text
    assert session.token.text not in answer.text


@pytest.mark.parametrize("after", ["x", "1-", "-1", "1-2-3", "9" * 19, "\u0661", "1e3"])
async def test_a_place_that_is_none_is_told_so(house, after):
    page = await house.ask("GET", f"/api/events?after={after}", by=house.operator)
    streamed = await house.ask(
        "GET", "/api/events", by=house.operator, headers=STREAM | {"last-event-id": after.encode()}
    )

    assert {answer.status_code for answer in (page, streamed)} == {400}


@pytest.mark.parametrize("place", [Place(0, 0), Place(0, 17), Place(7, 3), Place(2**40, 5)])
def test_a_place_is_read_as_it_was_written(place):
    assert Place.parse(str(place)) == place


def test_places_of_a_later_transaction_come_later_whatever_their_ids():
    assert Place(0, 9) < Place(1, 2) < Place(2, 1)


# ---------------------------------------------------------------- streams


async def test_a_stream_begins_now_and_tells_what_happens_from_then_on(house):
    await record(house, 3)
    heard = listening(house)
    await house.clock.run(5)

    await record(house, 2, first=3)
    found = events_in((await ended(house, heard)).text)

    assert acts(found) == ["3", "4"]
    assert {kind for _, kind, _ in found} == {"operator_acted"}


async def test_a_stream_is_resumed_after_the_last_event_that_was_heard(house):
    await record(house, 5)
    everything = events_in((await stream(house, "?after=0")).text)

    resumed = events_in((await stream(house, **{"last-event-id": everything[1][0]})).text)

    assert acts(everything) == ["0", "1", "2", "3", "4"]
    assert acts(resumed) == ["2", "3", "4"]
    assert [data["id"] for _, _, data in everything] == [place for place, _, _ in everything]


async def test_the_last_event_that_was_heard_goes_before_the_address_for_that_was_written_earlier(house):
    await record(house, 5)
    everything = events_in((await stream(house, "?after=0")).text)

    resumed = events_in((await stream(house, "?after=0", **{"last-event-id": everything[3][0]})).text)

    assert acts(resumed) == ["4"]


async def test_more_than_one_look_s_worth_is_told_whole(house, monkeypatch):
    monkeypatch.setattr(feed, "BATCH", 3)
    await record(house, 11)

    found = events_in((await stream(house, "?after=0")).text)

    assert acts(found) == [str(number) for number in range(11)]


async def test_events_of_other_processes_are_told_within_a_second(house):
    heard = listening(house)
    await house.clock.run(5)

    # Nobody in this process hears of it.
    hearers, house.service.keeper.hearers.events[:] = list(house.service.keeper.hearers.events), []
    await record(house, 1)
    house.service.keeper.hearers.events[:] = hearers
    await house.clock.run(feed.LOOK_SECONDS)

    assert acts(events_in((await ended(house, heard)).text)) == ["0"]


async def test_a_silent_stream_says_that_it_lives_and_ends_after_a_quarter_of_an_hour(house, monkeypatch):
    monkeypatch.setattr(feed, "STREAM_SECONDS", LASTS)
    monkeypatch.setattr(feed, "LOOK_SECONDS", 5.0)
    began = house.clock.monotonic()

    answer = await stream(house)

    assert 900 <= house.clock.monotonic() - began <= 906
    assert answer.text.count(": still here") == 900 // 15 - 1
    assert answer.text.startswith("retry: 2000\n\n")


async def test_a_stream_outlives_a_store_that_is_away_and_skips_nothing(house):
    heard = listening(house)
    await house.clock.run(3)
    real, fails = house.service.store.http.feed.after, [True, True]

    async def sometimes(*arguments):
        if fails:
            fails.pop()
            raise StoreUnavailable("away.")
        return await real(*arguments)

    house.service.store.http.feed.after = sometimes
    await record(house, 2)

    assert acts(events_in((await ended(house, heard)).text)) == ["0", "1"]


async def test_a_stream_ends_at_once_when_the_process_is_to_stop(house):
    heard = listening(house)
    await house.clock.run(3)
    began = house.clock.monotonic()

    house.service.keeper.drain()
    await ended(house, heard)

    assert house.clock.monotonic() - began <= feed.LOOK_SECONDS


async def test_no_more_streams_than_a_hundred_are_open_and_one_that_ends_makes_room(house, monkeypatch):
    monkeypatch.setattr(feed, "MOST_STREAMS", 2)
    open_ones = [listening(house) for _ in range(2)]
    await house.clock.run(2)

    refused = await house.ask("GET", "/api/events", by=house.operator, headers=STREAM)
    await house.clock.run(30)
    again = await stream(house)

    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
    assert [task.result().status_code for task in open_ones] == [200, 200]
    assert again.status_code == 200


# ---------------------------------------------------------------- on a real socket


@asynccontextmanager
async def listener(house):
    """A browser that hears the stream on a real socket."""
    stopping = asyncio.Event()
    with bind("127.0.0.1", 0) as listening:
        async with (
            serving(house.service, listening, with_worker=False, stopping=stopping) as running,
            httpx.AsyncClient(base_url=running.url, timeout=10) as browser,
        ):
            key = (house.folder / "operator.key").read_text().strip()
            headers = STREAM | {"authorization": f"Bearer {key}"}
            async with browser.stream("GET", "/api/events", headers=headers) as answer:
                yield answer


async def test_an_event_is_heard_while_the_stream_is_open(house):
    async with listener(house) as answer:
        chunks = answer.aiter_text()
        assert await anext(chunks) == "retry: 2000\n\n"
        await record(house, 1)
        heard = await anext(chunks)

    assert acts(events_in(heard)) == ["0"]


async def test_whoever_stops_listening_leaves_nobody_behind_who_tells(house):
    before = len(house.service.keeper.hearers.events)
    async with listener(house) as answer:
        await anext(answer.aiter_text())
        during = len(house.service.keeper.hearers.events)
        await answer.aclose()
        for _ in range(200):
            if len(house.service.keeper.hearers.events) < during:
                break
            await asyncio.sleep(0.01)
        after = len(house.service.keeper.hearers.events)

    # Telemetry of the serving process hears too, and whoever carries the news.
    assert (during - before, during - after) == (3, 1)
