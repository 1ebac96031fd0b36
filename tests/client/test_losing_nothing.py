"""Bots at work while their session is rotated a hundred times and thrown out once: none of their requests is lost."""

import asyncio
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import pytest
import requests

from aimkeeper import KeptAuth, RequestsAuth
from aimkeeper.simulator import Rules

from .conftest import Keeper

BOX, EMAIL = "http://box.aimharder.com", "ana@example.com"
ROTATIONS, PATIENCE = 100, 50


@dataclass
class Bot:
    """Books a class and cancels it again, over and over, on a day of its own; what it was told, it believes."""

    day: str
    booked: int = 0
    cancelled: int = 0
    trouble: str = ""

    def run(self, client, stopping) -> None:
        try:
            while not stopping.is_set():
                self.one_round(client)
        except BaseException as error:  # noqa: BLE001 (the test tells)
            self.trouble = repr(error)

    def one_round(self, client) -> None:
        shown = self.answered(lambda: client.get(f"{BOX}/api/bookings?day={self.day}&box=9283"))
        # How many bookings are left is told to members only.
        assert shown["clasesDisp"].isdigit(), shown
        slot = next(one for one in shown["bookings"] if one["time"].startswith("18:00"))
        reservation = self.posted(client, "/api/book", id=slot["id"], day=self.day, insist=0)
        assert reservation["bookState"] == 1, reservation
        self.booked += 1
        cancelled = self.posted(client, "/api/cancelBook", id=reservation["id"], late=0)
        assert cancelled == {"cancelState": 1}, cancelled
        self.cancelled += 1

    def posted(self, client, path, **form):
        return self.answered(lambda: client.post(BOX + path, data=form))

    def answered(self, ask):
        """
        A logout answer means that nothing was done: so it may be asked again.

        Twice, for at twenty rotations a second the next credentials may be from just before the forced logout too.
        """
        told = {}
        for _ in range(3):
            told = ask().json()
            if "logout" not in told:
                break
        return told


class Waited:
    """An `httpx.AsyncClient` for a bot that waits for each answer."""

    def __init__(self, client, loop):
        self._client, self._loop = client, loop

    def get(self, address):
        return asyncio.run_coroutine_threadsafe(self._client.get(address), self._loop).result(PATIENCE)

    def post(self, address, data):
        return asyncio.run_coroutine_threadsafe(self._client.post(address, data=data), self._loop).result(PATIENCE)


@pytest.mark.slow
@pytest.mark.timeout(PATIENCE * 2)
async def test_bots_lose_no_request_over_a_hundred_rotations_and_one_forced_logout(home, site, key):
    site.sim.rules = Rules(
        idle_life=4, old_token="strict", cookie_domain="aimharder.com", cookies_on_update=True, logout_scope="session"
    )
    site.sim.set_standing(EMAIL, credit=1000)
    settings = replace(
        home.settings, refresh_every=timedelta(seconds=0.05), idle_timeout=timedelta(seconds=4), login_rate=100.0
    )
    local, proxy = {"min_slack": "1s", "settings": settings}, {"proxy": site.url, "timeout": PATIENCE}
    stopping, loop = threading.Event(), asyncio.get_running_loop()
    with Keeper(settings, with_worker=True) as keeper:
        async with httpx.AsyncClient(auth=KeptAuth(EMAIL, **local), **proxy) as awaited:
            with (
                httpx.Client(auth=KeptAuth(EMAIL, **local), **proxy) as here,
                httpx.Client(auth=KeptAuth(EMAIL, keeper.url, key, "1s"), **proxy) as over_http,
                requests.Session() as session,
            ):
                session.auth, session.proxies = RequestsAuth(EMAIL, **local), {"http": site.url}
                clients = [here, over_http, session, Waited(awaited, loop)]
                bots = [Bot(f"209901{number:02}") for number in range(1, len(clients) + 1)]
                threads = [
                    threading.Thread(target=bot.run, args=(client, stopping))
                    for bot, client in zip(bots, clients, strict=True)
                ]
                for thread in threads:
                    thread.start()

                await until(lambda: site.truth.rotations >= ROTATIONS // 2 or any(bot.trouble for bot in bots))
                site.kill()
                await until(lambda: site.truth.rotations >= ROTATIONS or any(bot.trouble for bot in bots))

                stopping.set()
                await asyncio.to_thread(lambda: [thread.join() for thread in threads])

    truth = site.truth
    really = site.sim.reservations(EMAIL)
    assert [bot.trouble for bot in bots] == [""] * len(bots)
    assert all(bot.booked == bot.cancelled >= 10 for bot in bots)
    assert {bot.day: bot.booked for bot in bots} == {bot.day: sum(one.day == bot.day for one in really) for bot in bots}
    assert all(one.cancelled_at for one in really)
    assert (truth.alive, truth.reuse, truth.concurrent) == (True, 0, 0)
    assert truth.rotations >= ROTATIONS
    assert truth.logins == 2


async def until(truth) -> None:
    end = time.monotonic() + PATIENCE
    while not truth():
        assert time.monotonic() < end, "it takes too long"
        await asyncio.sleep(0.01)
