"""
The page with many sessions: when there is something to see, how long a search takes, and what each of its requests
costs the server, beside a small fleet: work that grows with the page, not with the fleet, costs the same.

    python -m bench.board [SESSIONS] [LOADS]        needs Chromium
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from playwright.async_api import Browser, async_playwright

from aimkeeper.clock import SystemClock
from aimkeeper.core.begin import read_adoption
from aimkeeper.service import Service, open_service
from aimkeeper.serving import sign_in_link
from aimkeeper.settings import Settings
from aimkeeper.simulator import Rules, Simulator
from bench.wrk import cpu_seconds

FEW, BATCH, ASKED = 1000, 2000, 60
KEY = "the-key-of-the-bench"
PORT = 18941
ROUTES = {
    "at a glance": "/api/status",
    "a page of the table": "/api/sessions?limit=50",
    "a page in the middle": "/api/sessions?limit=50&after={middle}@example.com%23",
    "a search": "/api/sessions?limit=50&q={start}",
    "one state": "/api/sessions?limit=50&status=ended",
    "who would die first": "/api/sessions?limit=50&order=deadline",
    "the charts": "/api/series",
    "what happened": "/api/events?latest=true&limit=12",
}
# When the first row stands there, and when all charts do: in milliseconds since the navigation began.
WATCH = """
addEventListener("DOMContentLoaded", () => {
  const seen = {};
  window.seen = seen;
  const look = () => {
    if (!seen.row && document.querySelector("#sessions tr")) seen.row = performance.now();
    if (!seen.charts && document.querySelectorAll("#charts svg").length === 4) seen.charts = performance.now();
  };
  new MutationObserver(() => { look(); requestAnimationFrame(look); })
    .observe(document, { subtree: true, childList: true });
});
"""
# From the letter that is typed to the row that was looked for.
SEARCH = """
async (wanted) => {
  const input = document.getElementById("q");
  const began = performance.now();
  input.value = wanted.slice(0, -12);
  input.dispatchEvent(new Event("input", { bubbles: true }));
  const there = () => document.querySelector("#sessions tr a")?.textContent.startsWith(input.value);
  while (!there()) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one request, in milliseconds: until the answer is here, and of the server's processor."""

    took: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Seen:
    """In milliseconds, the median of several loads: first paint, first row, all charts, a search."""

    paint: float
    row: float
    charts: float
    search: float


async def main(sessions: int, loads: int) -> None:
    costs, seen = {}, {}
    for count in (FEW, sessions):
        with tempfile.TemporaryDirectory(prefix="aimkeeper-bench-") as name:
            async with filled(Path(name), count) as (service, process):
                middle = f"member{count // 2:06}"
                paths = {route: path.format(middle=middle, start=middle[:-2]) for route, path in ROUTES.items()}
                costs[count] = {route: _cost(path, process.pid) for route, path in paths.items()}
                seen[count] = await _seen(service, loads, f"{middle}@example.com")
    print(
        f"| a request for | ms with {FEW:,} | ms with {sessions:,} | CPU ms with {FEW:,} | CPU ms with {sessions:,} |"
    )
    print("|---|---|---|---|---|")
    for route in ROUTES:
        few, many = costs[FEW][route], costs[sessions][route]
        print(f"| {route} | {few.took:.1f} | {many.took:.1f} | {few.cpu:.1f} | {many.cpu:.1f} |")
    print(f"\n| in the browser, median of {loads} cold loads | ms with {FEW:,} | ms with {sessions:,} |\n|---|---|---|")
    for name in ("paint", "row", "charts", "search"):
        print(f"| {name} | {getattr(seen[FEW], name):.0f} | {getattr(seen[sessions], name):.0f} |")


@asynccontextmanager
async def filled(folder: Path, count: int) -> AsyncIterator[tuple[Service, subprocess.Popen[bytes]]]:
    """A store with so many sessions, and `aimkeeper serve` over it."""
    chosen = {"AIMKEEPER_DATA_DIR": str(folder), "AIMKEEPER_API_KEY": KEY, "AIMHARDER_URL": "http://127.0.0.1:9"}
    sim = Simulator(Rules(), clock=SystemClock())
    settings = Settings(data_dir=folder, api_keys=(KEY,), aimharder_url=chosen["AIMHARDER_URL"])
    async with open_service(settings) as service:
        for first in range(0, count, BATCH):
            emails = [f"member{number:06}@example.com" for number in range(first, min(first + BATCH, count))]
            grants = [read_adoption(sim.open_session(email, "d" * 50).record()) for email in emails]
            await service.entry.adopt(grants, replacing=False)
        for session in await service.store.page(None, 60):
            await service.entry.log_out(session)
        command = [sys.executable, "-m", "aimkeeper", "serve", "--no-worker", "--port", str(PORT)]
        process = subprocess.Popen(  # noqa: ASYNC220 (started once, then left alone)
            command, env=os.environ | chosen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            await asyncio.to_thread(_wait_for, f"http://127.0.0.1:{PORT}/healthz")
            yield service, process
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(url: str) -> None:
    for _ in range(400):
        try:
            with urlopen(url):  # noqa: S310 (our own)
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(url)


def _cost(path: str, pid: int) -> Cost:
    request = Request(f"http://127.0.0.1:{PORT}{path}", headers={"authorization": f"Bearer {KEY}"})

    def ask() -> float:
        began = time.perf_counter()
        with urlopen(request) as answer:  # noqa: S310 (our own)
            answer.read()
        return (time.perf_counter() - began) * 1000

    ask()
    before = cpu_seconds(pid)
    took = [ask() for _ in range(ASKED)]
    return Cost(statistics.median(took), (cpu_seconds(pid) - before) * 1000 / ASKED)


async def _seen(service: Service, loads: int, wanted: str) -> Seen:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), chromium_sandbox=False)
        found = [await _load(browser, service, wanted) for _ in range(loads)]
        await browser.close()
    return Seen(*(statistics.median(values) for values in zip(*found, strict=True)))


async def _load(browser: Browser, service: Service, wanted: str) -> tuple[float, ...]:
    context = await browser.new_context(viewport={"width": 1280, "height": 960})
    base = f"http://127.0.0.1:{PORT}"
    await context.request.get(await sign_in_link(service, base))
    page: Any = await context.new_page()
    await page.add_init_script(WATCH)
    await page.goto(base)
    await page.wait_for_function("() => window.seen.charts")
    seen = await page.evaluate("() => window.seen")
    paint = await page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime")
    search = await page.evaluate(SEARCH, wanted)
    await context.close()
    return paint, seen["row"], seen["charts"], search


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    asyncio.run(main(*given, *(100_000, 7)[len(given) :]))
