"""`/api/events`: what happens, as it happens; nothing skipped, nothing twice, and resumed where it broke off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Response
from litestar.params import FromQuery
from litestar.response import Stream

from aimkeeper.core.errors import StoreUnavailable
from aimkeeper.core.events import Event
from aimkeeper.service import Service
from aimkeeper.store.feed import Place
from aimkeeper.web import shapes
from aimkeeper.web.access import Role
from aimkeeper.web.described import described_event
from aimkeeper.web.errors import AnyRequest, Refused
from aimkeeper.web.given import GivenService
from aimkeeper.web.routes import get
from aimkeeper.web.sessions import FACT, PAGE, Limit
from aimkeeper.web.told import told

# Other processes commit events too: the store is looked at this often, and a silent stream says that it lives.
LOOK_SECONDS, SIGN_OF_LIFE_SECONDS = 1.0, 15.0
# A stream ends after this long and the browser comes back by itself: with a cookie that still opens, on a process that
# is not about to stop.
STREAM_SECONDS = 900.0
MOST_STREAMS = 100
BATCH = 500
EVENT_STREAM = "text/event-stream"

_encode = msgspec.json.Encoder().encode


@get(
    "/api/events",
    summary="What happens, as it happens",
    **told(
        Role.OPERATOR,
        Role.PAGE,
        answer=shapes.Events,
        example={"success": True, "events": [FACT], "next": "17"},
    ),
)
async def events(
    request: AnyRequest,
    service: GivenService,
    *,
    after: FromQuery[str] = "",
    limit: Limit = PAGE,
    latest: FromQuery[bool] = False,
) -> Response[Any] | Stream:
    """
    For `Accept: text/event-stream` a stream that lasts, resumed by `Last-Event-ID` or `?after=`; else a page.

    Without either a stream begins now, and a page with the oldest event there is; with `latest` it is the last page.
    """
    if EVENT_STREAM not in request.headers.get("accept", ""):
        return Response(await _page(service, _place(after) or Place(0, 0), limit, latest=latest))
    begin = _place(request.headers.get("last-event-id", "") or after) or await service.store.http.feed.end()
    streams: Streams = request.app.state.streams
    streams.check_room()
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return Stream(_stream(service, begin, streams), media_type=EVENT_STREAM, headers=headers)


class Streams:
    """How many streams there are."""

    def __init__(self) -> None:
        self.count = 0

    def check_room(self) -> None:
        """
        Turn one more away where there are too many.

        Raises:
            Refused
        """
        if self.count >= MOST_STREAMS:
            raise Refused("too_many_streams", "too many streams are open: close one, or wait.", retry_after=5)


async def _page(service: Service, after: Place, limit: int, *, latest: bool) -> dict[str, Any]:
    feed = service.store.http.feed
    found = await (feed.last(limit) if latest else feed.after(after, limit))
    return {
        "success": True,
        "events": [_told(place, fact) for place, fact in found],
        "next": str(found[-1][0] if found else after),
    }


async def _stream(service: Service, place: Place, streams: Streams) -> AsyncIterator[bytes]:
    clock = service.clock
    ends_at = clock.monotonic() + STREAM_SECONDS
    news = asyncio.Event()

    def hear(_: Event) -> None:
        news.set()

    # Only once it runs: whoever left before that never comes to the end of it.
    streams.count += 1
    service.keeper.hearers.events.append(hear)
    try:
        yield b"retry: 2000\n\n"
        quiet_since = clock.monotonic()
        while clock.monotonic() < ends_at and not service.keeper.draining:
            news.clear()
            try:
                found = await service.store.http.feed.after(place, BATCH)
            except StoreUnavailable:
                found = []  # it is asked again in a moment: nothing is skipped by that
            for at, fact in found:
                yield b"id: %s\nevent: %s\ndata: %s\n\n" % (
                    str(at).encode(),
                    fact.kind.value.encode(),
                    _encode(_told(at, fact)),
                )
                place = at
            if found:
                quiet_since = clock.monotonic()
            elif clock.monotonic() - quiet_since >= SIGN_OF_LIFE_SECONDS:
                quiet_since = clock.monotonic()
                yield b": still here\n\n"
            if len(found) < BATCH and not news.is_set():
                await _either(clock.sleep(LOOK_SECONDS), news.wait())
    finally:
        service.keeper.hearers.events.remove(hear)
        streams.count -= 1


async def _either(*waits: Any) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _told(place: Place, fact: Event) -> dict[str, Any]:
    return {"id": str(place), **described_event(fact)}


def _place(text: str) -> Place | None:
    if not text:
        return None
    try:
        return Place.parse(text)
    except ValueError:
        raise Refused("bad_request", "that is no place in the feed: use the id of an event you were told.") from None
