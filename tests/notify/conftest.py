"""People and programs who are told, on real sockets; a real store; couriers as any process would have them."""

import asyncio
import json
import threading
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aimkeeper.core.events import Event, EventKind
from aimkeeper.notify.channels import Discord, Webhook
from aimkeeper.notify.courier import Courier
from aimkeeper.notify.post import Post
from aimkeeper.testing import ManualClock
from tests.store.conftest import InlineHouse, PostgresHouse

SECRET = "the receiver's own secret 4711"
HOOK = "/api/webhooks/4711/w3bh00k-s3cret"
PATIENCE = 60


@dataclass
class Told:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def kinds(self) -> list[str]:
        return [fact["kind"] for fact in self.json["data"]["events"]]


@dataclass
class Receiver:
    """
    Somebody's HTTP server.

    Attributes:
        told: What arrived.
        answers: The statuses of the next answers; then 204.
        open: While it is clear, nobody is answered.
    """

    told: list[Told] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    open: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        receiver = self
        receiver.open.set()

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.told.append(Told(self.command, self.path, headers, body))
                receiver.open.wait(PATIENCE)
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            do_GET = do_POST = handle_any  # noqa: N815 (the library's names)

            def log_message(self, *_) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.open.set()
        self._server.shutdown()
        self._thread.join(PATIENCE)
        self._server.server_close()


class Office:
    """Processes that tell, over one store."""

    def __init__(self, house, post: Post) -> None:
        self.house, self.post = house, post
        self.clock: ManualClock = house.clock
        self.couriers: list[Courier] = []
        self.clock.busy.append(lambda: any(courier.telling for courier in self.couriers))
        self.clock.busy.append(lambda: any(store._backend.pending for store in house.opened))

    def discord(self, receiver: Receiver) -> Discord:
        return Discord(f"{receiver.url}{HOOK}", self.post)

    def webhook(self, receiver: Receiver) -> Webhook:
        return Webhook(f"{receiver.url}/hook", SECRET, self.post, self.clock)

    @asynccontextmanager
    async def courier(self, *channels, store=None, link=""):
        """A courier of a process of its own, while the block lasts."""
        async with self.process(*channels, store=store, link=link) as (courier, _, running):
            yield courier
            courier.stop()
            await self.clock.finish(running)

    @asynccontextmanager
    async def process(self, *channels, store=None, link=""):
        """The same, with its owner and its task, for a test that has it die."""
        store = store or await self.house.open()
        owner = await store.owners.enrol("an office", "visitor")
        courier = Courier(store, self.clock, channels, owner=lambda: owner, link=link)
        courier.bury = lambda: self.house.reap(store)
        self.couriers.append(courier)
        running = asyncio.create_task(courier.run())
        while not {channel.name for channel in channels} <= {box.channel for box in await store.outbox.everything()}:
            await asyncio.sleep(0.002)
        try:
            yield courier, owner, running
        finally:
            running.cancel()
            await asyncio.wait([running])

    def fact(self, kind: EventKind = EventKind.ENDED, number: int = 1, **data) -> Event:
        """Something that happened just now."""
        fleet = kind in (EventKind.OUTAGE_BEGAN, EventKind.OUTAGE_ENDED, EventKind.VERDICTS_HELD)
        who = (
            {}
            if fleet
            else {"session_id": f"{number:08}-0000-4000-8000-000000000000", "email": f"m{number}@example.com"}
        )
        data = data or ({"cause": "server_ended"} if kind is EventKind.ENDED else {})
        return Event(kind=kind, at=self.clock.now(), data=data, **who)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgres"])
def keeps_in(request) -> str:
    return request.param


@pytest.fixture
async def house(keeps_in, tmp_path, clock, request):
    async with AsyncExitStack() as stack:
        if keeps_in == "postgres":
            yield PostgresHouse(tmp_path, clock, stack, request.getfixturevalue("postgres").fresh())
        else:
            yield InlineHouse(tmp_path, clock, stack)


@pytest.fixture
async def store(house):
    return await house.open()


@pytest.fixture
async def office(house):
    async with Post("aimkeeper/test") as post:
        yield Office(house, post)


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def other():
    with Receiver() as receiver:
        yield receiver
