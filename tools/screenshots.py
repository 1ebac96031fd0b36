"""
Takes the pictures of the page that the README and the docs show, of a fleet with a past (`stage.py`), in Chromium.

    python tools/screenshots.py [FOLDER]        by default docs/pictures
"""

import asyncio
import logging
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright
from stage import Stage

from aimkeeper.core.session import Cause, Status
from aimkeeper.serving import Serving, sign_in_link
from aimkeeper.telemetry import set_up_logs

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
MEMBERS = 150
DESK, PHONE = {"width": 1280, "height": 960}, {"width": 390, "height": 844}


async def main(folder: Path) -> None:
    set_up_logs(as_json=False, level=logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="aimkeeper-pictures-") as name:
        stage = Stage(Path(name), MEMBERS)
        print("Living through an hour and a quarter…")
        await stage.live_through()
        async with stage.served() as now, async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), chromium_sandbox=False)
            for picture, how in {
                "board-light.png": {"viewport": DESK, "color_scheme": "light"},
                "board-dark.png": {"viewport": DESK, "color_scheme": "dark"},
                "board-phone.png": {"viewport": PHONE, "color_scheme": "light"},
            }.items():
                page = await _board(browser, now, how)
                await page.screenshot(path=folder / picture)
                print(f"{picture} taken")
                if picture == "board-light.png":
                    await _session(page, now, folder / "session-light.png")
                await page.context.close()
            await browser.close()


async def _board(browser: Any, now: Serving, how: dict[str, Any]) -> Page:
    page: Page = await (await browser.new_context(locale="en-GB", **how)).new_page()
    await page.goto(await sign_in_link(now.service, now.url))
    await page.wait_for_selector("#live[data-state=live]")
    await page.locator("#charts svg").nth(3).wait_for()
    # The cursor is nowhere; what fades has faded.
    await page.mouse.move(0, 0)
    await asyncio.sleep(1)
    return page


async def _session(page: Page, now: Serving, picture: Path) -> None:
    ended = await now.service.store.page(None, 10, Status.ENDED)
    session = next(one for one in ended if one.cause is Cause.SERVER_ENDED)
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.goto(f"{now.url}/sessions/{session.id}")
    await page.wait_for_selector("#timeline li")
    await asyncio.sleep(1)
    await page.screenshot(path=picture)
    print(f"{picture.name} taken")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES))
