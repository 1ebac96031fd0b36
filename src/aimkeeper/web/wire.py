"""Uvicorn's HTTP protocol, with an end to its patience: long addresses, large heads and slow clients are cut."""

import asyncio
import json
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aimkeeper.web.errors import CODES

MAX_ADDRESS, MAX_HEAD, MAX_HEADERS = 8 * 1024, 32 * 1024, 100
# From its first byte to its last a request may take so long, and what we send may wait so long to be taken.
REQUEST_SECONDS, SENDING_SECONDS = 15.0, 30.0
# Between requests a connection may rest so long.
RESTING_SECONDS = 15
MOST_CONNECTIONS = 1000

_SENTENCES = {
    "bad_request": "this is no HTTP that can be read.",
    "too_slow": "the request came too slowly: send it again.",
    "address_too_long": "the address is too long.",
    "head_too_large": "the headers are too large, or too many.",
}


class Wire(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_partial, self._is_in_head, self._head = False, False, 0
        self._refused = "bad_request"
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its parent's
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._receiving = self.loop.call_later(REQUEST_SECONDS, self._cut)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._receiving, self._sending):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        # Waiting for the rest of a request, or for one to begin; otherwise it is we who are at work.
        if self._is_partial or self._is_idle():
            self._receiving = self._receiving or self.loop.call_later(REQUEST_SECONDS, self._cut)
        elif self._receiving:
            self._receiving.cancel()
            self._receiving = None

    def on_message_begin(self) -> None:
        self._is_partial, self._is_in_head, self._head = True, True, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_ADDRESS:
            self._refuse("address_too_long")

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._head += len(name) + len(value)
        if self._head > MAX_HEAD or len(self.headers) > MAX_HEADERS:
            self._refuse("head_too_large")

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_partial = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (uvicorn's own words: ours say more)
        self._say(self._refused)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._sending = self._sending or self.loop.call_later(SENDING_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._sending:
            self._sending.cancel()
            self._sending = None

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _refuse(self, code: str) -> None:
        """Stop reading; the parser passes it on to `send_400_response`."""
        self._refused = code
        raise ValueError(code)

    def _cut(self) -> None:
        """The request did not come in time."""
        self._receiving = None
        answering = self.cycle is not None and not self.cycle.response_complete
        if self.flow.read_paused or self.pipeline:
            # It is we who let him wait.
            self._receiving = self.loop.call_later(REQUEST_SECONDS, self._cut)
        elif not self._is_partial or (answering and (self._is_in_head or self.cycle.response_started)):
            self.transport.abort()
        elif answering or self._is_in_head:
            if answering:
                # Whoever reads the body is told that nobody sends it any more.
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self._say("too_slow")
        else:
            self.transport.close()  # he has his answer, and still goes on sending

    def _say(self, code: str) -> None:
        body = json.dumps({"success": False, "error": _SENTENCES[code], "code": code}).encode()
        status = HTTPStatus(CODES[code])
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
