"""What a page goes through: sleep, lost networks, the back/forward cache."""

import asyncio

import pytest
from site_of_pages import has_token, heard, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def refreshed(keeper, session, page):
    """The page has the session's present token."""
    token = await until(lambda: keeper.truth(session).rotations and keeper.truth(session).token, "a rotation")
    await until(lambda: has_token(page, token), "the page has the token")
    await asyncio.sleep(0.2)  # until that rotation is not young any more
    return token


async def test_a_page_that_slept_through_ten_rotations_gets_the_present_token_on_its_first_call(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.sign_in(session.token.text)
    page = await visitor.open(query="mode=holder&enabled=")
    rotated = session
    for _ in range(10):
        rotated = await keeper.service.refresher.refresh(rotated, forced=True)

    await page.evaluate("() => refresh.refresh()")

    present = keeper.truth(session).token
    assert await visitor.stored(page, "refreshToken") == present == rotated.token.text
    assert (await heard(page))["tokens"] == [present]
    assert (keeper.truth(session).rotations, keeper.truth(session).reuse) == (10, 0)


async def test_after_two_hours_of_sleep_a_page_asks_at_once_and_once(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.context.clock.install()
    await visitor.sign_in(session.token.text)
    page = await visitor.open()
    await visitor.context.clock.run_for(1000)
    await refreshed(keeper, session, page)

    await visitor.context.clock.fast_forward("02:00:00")

    await until(lambda: keeper.truth(session).rotations == 2, "it asks")
    await until(lambda: has_token(page, keeper.truth(session).token), "the page has the token")
    await visitor.context.clock.run_for(60_000)
    assert keeper.exchanges() == 2


async def test_offline_nothing_is_asked_and_back_online_it_catches_up(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.context.clock.install()
    await visitor.sign_in(session.token.text)
    page = await visitor.open()
    await visitor.context.clock.run_for(1000)
    await refreshed(keeper, session, page)

    await visitor.context.set_offline(True)
    await visitor.context.clock.run_for(20 * 60_000)
    assert (keeper.exchanges(), (await heard(page))["errors"]) == (1, [])
    await visitor.context.set_offline(False)

    await until(lambda: keeper.exchanges() == 2, "it asks")
    assert (await heard(page))["logouts"] == 0


async def test_a_page_out_of_the_back_forward_cache_catches_up(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.sign_in(session.token.text)
    page = await visitor.open()
    await refreshed(keeper, session, page)
    await page.goto(f"{keeper.site.url}/page/blank.html")
    # While it lies there its note grows old.
    await page.evaluate(
        """() => {
            const note = JSON.parse(localStorage.getItem("aimkeeper:note"));
            localStorage.setItem("aimkeeper:note", JSON.stringify({ ...note, due: 0, tried: note.tried + 1 }));
        }"""
    )

    await page.go_back(wait_until="commit")

    await until(lambda: keeper.exchanges() == 2, "it asks")
    assert (await heard(page))["restored"] == 1, "the browser loaded the page again instead of restoring it"
    await until(lambda: has_token(page, keeper.truth(session).token), "the page has the token")


async def test_a_page_in_the_cache_while_it_asked_has_hung_up_and_asks_again_when_it_is_back(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.sign_in(session.token.text)
    keeper.site.open.clear()
    page = await visitor.open()
    await until(lambda: keeper.exchanges() == 1, "it asks")

    await page.goto(f"{keeper.site.url}/page/blank.html")
    keeper.site.open.set()
    await page.go_back(wait_until="commit")

    await until(lambda: has_token(page, keeper.truth(session).token), "the page has the token")
    assert (await heard(page))["errors"] == []
    assert keeper.truth(session).reuse == 0


async def test_stopped_a_page_has_no_timer_listener_channel_or_lock_left(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.sign_in(session.token.text)
    page = await visitor.open()
    await refreshed(keeper, session, page)
    assert (await page.evaluate("whatIsLeft()"))["channels"] == 1

    await page.evaluate("() => refresh.stop()")

    async def nothing_is_left():
        left = await page.evaluate("whatIsLeft()")
        # The page's own listener, by which this test knows of the cache.
        return left == {"timers": 0, "listeners": ["pageshow"], "channels": 0, "locks": 0}

    await until(nothing_is_left, "nothing is left")


async def test_the_element_tells_by_events_that_carry_no_token(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.sign_in(session.token.text)

    page = await visitor.open("element.html", "")

    assert await until(lambda: heard(page), "an event") == [["refresh-success", {}]]
    keeper.sim.kill(session.email, session.fingerprint)
    await asyncio.sleep(0.2)
    await page.evaluate("() => document.querySelector('auto-token-refresh').refresh()")
    assert (await heard(page))[1:] == [["logout-required", {}]]


async def test_the_element_carries_the_token_when_asked_and_ends_when_it_is_taken_out(keeper, visit):
    session = await keeper.keep()
    visitor = await visit(keeper.site)
    await visitor.sign_in(session.token.text)
    page = await visitor.open("element.html", "")
    await until(lambda: heard(page), "an event")
    await asyncio.sleep(0.2)

    await page.evaluate("() => document.querySelector('auto-token-refresh').toggleAttribute('with-token')")
    await page.evaluate("() => document.querySelector('auto-token-refresh').refresh()")

    assert (await heard(page))[-1] == ["refresh-success", {"token": keeper.truth(session).token}]
    await page.evaluate("() => document.querySelector('auto-token-refresh').remove()")

    async def nothing_is_left():
        return await page.evaluate("whatIsLeft()") == {"timers": 0, "listeners": [], "channels": 0, "locks": 0}

    await until(nothing_is_left, "nothing is left")
