"""
Small requests to addresses that are secrets themselves.

As in `upstream/client.py`, the library's exceptions carry whole addresses, and none of them leaves this file.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Self

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError

from aimkeeper.core.telling import Problem, Told, read_answer

# Of one whole exchange.
TIMEOUT = timedelta(seconds=10)


class Post:
    """An HTTP client that follows nobody elsewhere and reads no answer's body."""

    def __init__(self, user_agent: str) -> None:
        self._client = (
            ClientBuilder().follow_redirects(enable=False).timeout(TIMEOUT).user_agent(user_agent)
            .referer(enable=False).build()
        )  # fmt: skip

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def get(self, url: str) -> Told:
        return await self._send("GET", url, None, {})

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Told:
        """Send *body*, which is JSON."""
        return await self._send("POST", url, body, {"content-type": "application/json", **headers})

    async def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Told:
        try:
            builder = self._client.request(method, url).headers(headers)
            if body is not None:
                builder = builder.body_bytes(body)
            async with builder.build_streamed() as response:
                retry_after = None
                with suppress(ValueError):  # a header that is no text asks for nothing
                    retry_after = response.headers.get("retry-after")
                return read_answer(response.status, retry_after)
        except RequestTimeoutError:
            return Told(Problem.TIMED_OUT)
        except (PyreqwestError, ValueError):
            return Told(Problem.UNREACHABLE)
