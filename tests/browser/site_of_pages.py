"""The sites that the browser visits: pages of ours before a service, on one origin, under a strict CSP."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from aimkeeper.serving import Server, address_of, bind

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PAGES = HERE / "pages"
BROWSER = ROOT / "browser"
CSP = "default-src 'none'; script-src 'self'; connect-src 'self'"
PATIENCE = 60
KINDS = {".html": "text/html", ".js": "text/javascript"}

App = Callable[[Any, Any, Any], Awaitable[None]]


async def until(truth, what: str):
    """Look again and again until *truth* holds; it may be a coroutine function. Returns what it said."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = truth()
                found = await found if asyncio.iscoroutine(found) else found
                if found:
                    return found
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"after {PATIENCE} s still not: {what}")


async def heard(page) -> dict:
    return await page.evaluate("() => window.heard")


async def has_token(page, token: str) -> bool:
    return token in (await heard(page))["tokens"]


@dataclass
class Asked:
    """A request that reached the service, and how it was answered."""

    method: str
    path: str
    status: int = 0


@dataclass
class Site:
    """
    Pages and a service behind them.

    Attributes:
        service: Answers whatever is no page.
        built: What a page is made of that is no file of ours, by its path.
        asked: What the service was asked, in order.
        open: Cleared, it holds every request back before the service sees it.
    """

    service: App
    built: dict[str, bytes] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    def count(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        content = self._file(path)
        if content is not None:
            kind = KINDS[Path(path).suffix]
            await answer(send, 200, content, kind, [(b"content-security-policy", CSP.encode())])
            return
        if not path.startswith("/api/"):
            await answer(send, 404, b"", "text/plain")
            return
        await self._serve(scope, receive, send)

    def _file(self, path: str) -> bytes | None:
        if path in self.built:
            return self.built[path]
        for prefix, folder in (("/page/", PAGES), ("/static/", BROWSER)):
            if path.startswith(prefix):
                file = folder / path.removeprefix(prefix)
                return file.read_bytes() if file.is_file() else None
        return None

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        asked = Asked(scope["method"], scope["path"])
        self.asked.append(asked)
        await self.open.wait()

        async def noting(message: Any) -> None:
            if message["type"] == "http.response.start":
                asked.status = message["status"]
            await send(message)

        await self.service(scope, receive, noting)


@contextlib.asynccontextmanager
async def served(site: Site) -> AsyncIterator[Site]:
    """The site on a free port of this machine, in this loop."""
    listening = bind("127.0.0.1", 0)
    site.url = address_of(*listening.getsockname()[:2])
    config = uvicorn.Config(site, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield site
    finally:
        site.open.set()
        server.should_exit = True
        await task


def bundled(version: str) -> bytes:
    """The React page with this major version of React, as one module without a script in the page."""
    modules = BROWSER / "node_modules" if version == "19" else BROWSER / "dev/react18" / "node_modules"
    command = [
        str(BROWSER / "node_modules/.bin/esbuild"), str(PAGES / "react.js"), "--bundle", "--format=esm",
        '--define:process.env.NODE_ENV="development"', "--log-level=error",
        *(f"--alias:{name}={modules / name}" for name in ("react", "react-dom")),
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout


async def answer(send: Any, status: int, body: bytes, kind: str, headers: Any = ()) -> None:
    all_headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body})
