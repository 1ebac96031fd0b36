"""Several tabs of one site: one asks, all hear."""

import asyncio

import pytest
from site_of_pages import has_token, heard, until

from aimkeeper.simulator import Faults

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

EXCHANGE = "/api/tokenUpdate"


async def open_tabs(visitor, count=3, query="mode=holder"):
    return await asyncio.gather(*(visitor.open(query=query) for _ in range(count)))


async def all_have(tabs, token):
    found = [await has_token(tab, token) for tab in tabs]
    return all(found)


@pytest.mark.parametrize("lacking", ["nothing", "locks", "channels", "locks and channels"])
async def test_three_tabs_make_one_request_and_all_hear_the_token(keeper, visit, lacking):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    if "locks" in lacking:
        await visitor.context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined });")
    if "channels" in lacking:
        await visitor.context.add_init_script("delete window.BroadcastChannel;")
    await visitor.sign_in(session.token.text)
    keeper.site.open.clear()
    tabs = await open_tabs(visitor)
    await until(lambda: keeper.site.asked, "a request")

    keeper.site.open.set()

    token = await until(lambda: keeper.truth(session).rotations and keeper.truth(session).token, "a rotation")
    await until(lambda: all_have(tabs, token), "all tabs have the token")
    assert [asked.path for asked in keeper.site.asked] == [EXCHANGE]
    assert await visitor.stored(tabs[0], "refreshToken") == token


async def test_the_tab_that_asked_is_closed_while_it_asks_and_another_takes_over(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.sign_in(session.token.text)
    keeper.site.open.clear()
    first = await visitor.open()
    await until(lambda: keeper.exchanges() == 1, "the first tab asks")
    second = await visitor.open()

    await first.close()
    keeper.site.open.set()

    await until(lambda: keeper.exchanges() == 2, "the second tab asks")
    token = await until(lambda: keeper.truth(session).rotations and keeper.truth(session).token, "a rotation")
    await until(lambda: has_token(second, token), "the second tab has the token")
    assert keeper.truth(session).reuse == 0


async def test_a_leader_closed_between_two_refreshes_is_replaced_at_the_next(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.context.clock.install()
    await visitor.sign_in(session.token.text)
    first = await visitor.open()
    await visitor.context.clock.run_for(1000)
    await until(lambda: keeper.exchanges() == 1, "the first tab asks")
    second = await visitor.open()
    await until(lambda: second.evaluate("() => refresh.getState().nextRefreshTime !== null"), "the second knows when")
    await asyncio.sleep(0.2)  # until the first rotation is not young any more

    await first.close()
    await visitor.context.clock.fast_forward("16:00")
    await visitor.context.clock.run_for(3000)

    await until(lambda: has_token(second, keeper.truth(session).token), "the second tab has the token")
    assert (keeper.exchanges(), keeper.truth(session).rotations) == (2, 2)


async def test_a_logout_that_one_tab_hears_ends_all_and_clears_storage(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.sign_in(session.token.text)
    tabs = await open_tabs(visitor)
    for tab in tabs:
        await until(lambda tab=tab: tab.evaluate("() => refresh.getState().lastRefreshTime !== null"), "signed in")
    keeper.sim.kill(session.email, session.fingerprint)
    await asyncio.sleep(0.2)

    await tabs[1].evaluate("() => refresh.refresh()")

    async def all_are_out():
        return [(await heard(tab))["logouts"] for tab in tabs] == [1, 1, 1]

    await until(all_are_out, "each tab was told once")
    for key in ("user-email", "refreshToken"):
        assert await visitor.stored(tabs[0], key) is None
    asked = keeper.exchanges()
    await asyncio.sleep(1)
    assert keeper.exchanges() == asked


async def test_a_stale_tabs_logout_never_wipes_a_newer_sign_in(keeper, visit):
    old, new = await keeper.keep(), await keeper.keep("berta@example.com")
    visitor = await visit(keeper.site)
    await visitor.sign_in(old.token.text)
    keeper.site.open.clear()
    keeper.sim.kill(old.email, old.fingerprint)
    stale = await visitor.open()
    await until(lambda: keeper.exchanges() == 1, "the stale tab asks with the old token")

    await visitor.sign_in(new.token.text, new.email)
    keeper.site.open.set()

    token = await until(lambda: keeper.truth(new).rotations and keeper.truth(new).token, "the newer session rotates")
    await until(lambda: has_token(stale, token), "the tab goes on with the newer session")
    assert (await heard(stale))["logouts"] == 0
    assert await visitor.stored(stale, "user-email") == new.email
    assert await visitor.stored(stale, "refreshToken") == token


async def test_a_sign_in_in_another_tab_and_in_this_one_is_noticed(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    page = await visitor.open()
    assert (await page.evaluate("() => refresh.getState()"))["signedIn"] is False

    await page.evaluate(
        """([email, token, device]) => {
            localStorage.setItem("user-email", email);
            localStorage.setItem("refreshToken", token);
            localStorage.setItem("fingerprint", device);
        }""",
        [session.email, session.token.text, session.fingerprint],
    )

    await until(lambda: keeper.truth(session).rotations, "a rotation")
    await until(lambda: has_token(page, keeper.truth(session).token), "the page has the token")


async def test_ten_cycles_of_three_tabs_are_no_storm(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.context.clock.install()
    await visitor.sign_in(session.token.text)
    tabs = await open_tabs(visitor)
    await visitor.context.clock.run_for(3000)
    await until(lambda: keeper.exchanges() == 1, "the first request")

    for cycle in range(2, 11):
        await visitor.context.clock.fast_forward("15:00")
        await until(lambda wanted=cycle: keeper.exchanges() >= wanted, f"request {cycle}")
        # The word of it travels between processes in real time, which the pages' clock must not outrun.
        await asyncio.sleep(0.1)
        # A minute in small steps: a storm would show.
        for _ in range(12):
            await visitor.context.clock.run_for(5000)

    # Hundreds, if it were one. More than ten by one or two, should a word once be late on a busy machine.
    assert 10 <= keeper.exchanges() <= 12
    assert [(await heard(tab))["errors"] for tab in tabs] == [[], [], []]


async def test_while_the_service_says_not_now_tabs_keep_their_sign_in_and_wait_together(keeper, visit):
    session = await keeper.keep()
    keeper.sim.faults = Faults(error_500=1.0)
    visitor = await visit(keeper.site)
    await visitor.sign_in(session.token.text)
    keeper.site.service = refusing
    tabs = await open_tabs(visitor)

    async def one_was_told():
        return sum([len((await heard(tab))["errors"]) for tab in tabs]) == 1

    await until(one_was_told, "one tab was told")
    await asyncio.sleep(1)

    assert await one_was_told()
    assert keeper.exchanges() == 1
    assert [(await heard(tab))["logouts"] for tab in tabs] == [0, 0, 0]
    assert await visitor.stored(tabs[0], "refreshToken") == session.token.text


async def refusing(scope, receive, send):
    body = b'{"success":false,"code":"upstream_unavailable","error":"not now."}'
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"120")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
