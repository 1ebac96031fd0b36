"""React 18 and 19, in StrictMode, as a browser runs them."""

import asyncio

import pytest
import pytest_asyncio
from site_of_pages import bundled, heard, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(scope="module", params=["18", "19"], ids=["React 18", "React 19"])
def bundle(tools, request):
    return request.param, bundled(request.param)


@pytest_asyncio.fixture(loop_scope="session")
async def page(keeper, visit, bundle):
    version, script = bundle
    keeper.site.built["/page/react.js"] = script
    keeper.session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.sign_in(keeper.session.token.text)
    page = await visitor.open("react.html", "")
    assert (await page.evaluate("() => reactVersion")).startswith(f"{version}.")
    return page


async def shows(page, text):
    await until(lambda: page.evaluate("(text) => document.body.innerText.includes(text)", text), f"{text!r} is shown")


async def test_state_renders_again_and_strict_mode_asks_once(keeper, page):
    await shows(page, "1 refreshes, on")
    await asyncio.sleep(0.2)

    await page.evaluate("() => hook.manualRefresh()")

    await shows(page, "2 refreshes, on")
    assert keeper.exchanges() == 2
    assert (await heard(page))["tokens"][-1] == keeper.truth(keeper.session).token


async def test_a_success_starts_nothing_anew(keeper, page):
    await shows(page, "1 refreshes, on")
    before = (await heard(page))["renders"]

    await asyncio.sleep(1)

    assert keeper.exchanges() == 1
    assert (await heard(page))["renders"] == before


async def test_mounted_and_unmounted_twenty_times_it_leaves_nothing(keeper, page):
    await shows(page, "1 refreshes, on")

    for shown in [False, True] * 20 + [False]:
        await page.evaluate("(isShown) => setHow((how) => ({ ...how, isShown }))", shown)
    await page.evaluate("() => root.unmount()")

    async def nothing_is_left():
        return await page.evaluate("whatIsLeft()") == {"timers": 0, "listeners": [], "channels": 0, "locks": 0}

    await until(nothing_is_left, "nothing is left")
    assert keeper.exchanges() == 1


async def test_disabled_it_is_off_and_stop_and_start_do_what_they_say(keeper, page):
    await shows(page, "1 refreshes, on")

    await page.evaluate("() => setHow((how) => ({ ...how, enabled: false }))")
    await shows(page, "0 refreshes, off")
    await page.evaluate("() => hook.startAutoRefresh()")
    await shows(page, "on")
    await page.evaluate("() => hook.stopAutoRefresh()")
    await shows(page, "off")

    assert keeper.exchanges() == 1


async def test_the_hook_returns_what_the_original_returned_by_the_same_names(page):
    await shows(page, "1 refreshes, on")

    kinds = await page.evaluate(
        "() => Object.fromEntries(Object.entries(hook).map(([k, v]) => [k, v === null ? null : v.constructor.name]))"
    )

    assert kinds == {
        "startAutoRefresh": "Function",
        "stopAutoRefresh": "Function",
        "manualRefresh": "AsyncFunction",
        "isRefreshing": "Boolean",
        "lastRefreshTime": "Date",
        "nextRefreshTime": "Date",
        "refreshCount": "Number",
        "lastError": None,
        "intervalMinutes": "Number",
        "enabled": "Boolean",
    }
    assert await page.evaluate("() => hook.intervalMinutes") == 15


async def test_a_logout_ends_it_and_the_component_without_props_stands_in_its_place(keeper, page):
    await shows(page, "1 refreshes, on")
    keeper.sim.kill(keeper.session.email, keeper.session.fingerprint)
    await asyncio.sleep(0.2)

    await page.evaluate("() => hook.manualRefresh()")
    await shows(page, "1 refreshes, off")
    await page.evaluate("() => setHow((how) => ({ ...how, isComponent: true }))")

    assert (await heard(page))["logouts"] == 1
    assert await page.evaluate("() => hook.lastError") == "Session expired - logout required"
    await until(lambda: page.evaluate("() => document.body.innerText === ''"), "the component renders nothing")
