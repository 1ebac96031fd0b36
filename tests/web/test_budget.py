"""
What a reading of credentials may cost, counted and never timed: a change that costs more must say so here, and why.

The way is that of a crowd: many readers at one time, each of a session of his own.
"""

import asyncio
import sys
from datetime import timedelta

import pytest

CROWD = 32
# Calls of functions, Python's own included, for one reading, its part of what is shared included; and trips to the
# database for all of the crowd. Measured on CPython 3.11, to which some hundredths are added.
CALLS = {"operator": 370, "bot": 406}
TRIPS = {"operator": 2, "bot": 3}


def scope(path, bearer):
    headers = [(b"host", b"keeper.test"), (b"authorization", f"Bearer {bearer}".encode())]
    return {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "root_path": "",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers,
        "server": ("keeper.test", 80), "client": ("203.0.113.9", 40000),
    }  # fmt: skip


@pytest.fixture
async def crowd(house):
    """Has each reader ask once, the operator's way or the bots'; how many calls each took."""
    sessions = await house.adopt(*(f"member{number}@example.com" for number in range(CROWD)))
    lent = [await house.service.bots.lend(one, timedelta(days=1), by="a test") for one in sessions]
    paths = [f"/api/sessions/{one.id}/credentials" for one in sessions]
    asked = {
        "operator": [(path, house.operator) for path in paths],
        "bot": [(path, one.bearer) for path, one in zip(paths, lent, strict=True)],
    }
    app = house.app()

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def read(way):
        told, calls = [], 0

        async def send(message):
            told.append(message.get("status"))

        def count(_frame, event, _):
            nonlocal calls
            calls += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            await asyncio.gather(*(app(scope(*one), receive, send) for one in asked[way]))
        finally:
            sys.setprofile(before)
        assert told.count(200) == CROWD
        return calls / CROWD

    for way in ("operator", "bot") * 3:
        await read(way)  # the first fill what is remembered, and are told in the log one by one
    return read


@pytest.mark.parametrize("way", CALLS)
async def test_a_reading_takes_no_more_calls_than_the_budget_says(crowd, way):
    reading = await crowd(way)

    assert reading <= CALLS[way]


@pytest.mark.parametrize("way", TRIPS)
async def test_a_crowd_shares_its_trips_to_the_database(house, crowd, way, monkeypatch):
    trips = 0
    backend = house.service.store._backend
    carry = type(backend)._call

    async def noted(self, executor, work):
        nonlocal trips
        trips += 1
        return await carry(self, executor, work)

    monkeypatch.setattr(type(backend), "_call", noted)
    await crowd(way)

    assert trips == TRIPS[way]
