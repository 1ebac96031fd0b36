"""Health, readiness, metrics."""

import asyncio
import re

import pytest

from aimkeeper.engine.worker import TICK_SECONDS


@pytest.fixture
async def worker(house):
    """The house's own worker, running."""
    house.worker = house.service.worker()
    task = asyncio.create_task(house.worker.run())
    await house.clock.settle()
    yield house.worker
    house.worker.stop()
    await house.clock.finish(task)


async def readiness(house):
    answer = await house.ask("GET", "/readyz")
    return answer.status_code, answer.json()


async def test_a_process_that_lives_says_so(house):
    answer = await house.ask("GET", "/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_without_a_worker_it_is_ready_when_the_store_can_be_written(house):
    assert await readiness(house) == (200, {"ready": True, "store": "ok", "worker": "none"})


async def test_with_a_worker_it_is_ready_once_that_looks_for_work(house, worker):
    assert await readiness(house) == (200, {"ready": True, "store": "ok", "worker": "ok"})


async def test_a_worker_that_stopped_looking_is_not_ready(house, worker):
    worker.stop()
    await house.clock.run(TICK_SECONDS * 11)

    assert await readiness(house) == (
        503,
        {"ready": False, "store": "ok", "worker": "it has not looked for work lately"},
    )


async def test_while_the_store_is_away_it_is_alive_and_not_ready_and_says_why(house):
    with house.store_away():
        status, told = await readiness(house)
        alive = await house.ask("GET", "/healthz")

    assert (status, told["ready"]) == (503, False)
    assert re.fullmatch(r"the database .*aimkeeper\.db can't be used now: database is locked\.", told["store"])
    assert alive.status_code == 200
    assert await readiness(house) == (200, {"ready": True, "store": "ok", "worker": "none"})


async def test_while_the_store_is_away_the_worker_says_so_too_and_recovers(house, worker):
    with house.store_away():
        await house.clock.run(3)
        status, told = await readiness(house)
    await house.clock.run(3)

    assert status == 503
    assert "database is locked" in told["worker"]
    assert (await readiness(house))[0] == 200


async def test_while_the_site_is_away_it_stays_ready_for_a_restart_would_help_nobody(house, worker):
    [session] = await house.adopt("ana@example.com")
    house.sim.next("reset_before", times=10_000)
    await house.clock.run(30)

    assert (await readiness(house))[0] == 200
    assert (await house.service.store.get(session.id)).attempt > 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"])
async def test_metrics_are_there_for_this_machine(house, host):
    answer = await house.ask("GET", "/metrics", caller=house.caller(host))

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "host", ["203.0.113.9", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "127.0.0.1.example.com", "testclient", ""]
)
async def test_metrics_are_not_there_for_others_without_the_key(house, host):
    caller = house.caller(host)

    assert (await house.ask("GET", "/metrics", caller=caller)).status_code == 401
    assert (await house.ask("GET", "/metrics", caller=caller, by=house.cron)).status_code == 401
    assert (await house.ask("GET", "/metrics", caller=caller, by=house.operator)).status_code == 200


async def test_metrics_count_sessions_exchanges_and_events_and_name_nobody(house):
    session = await house.log_in()
    await house.adopt("berta@example.com")
    await house.exchange(session.token.text, session.fingerprint)
    house.clock.advance(1)

    text = (await house.ask("GET", "/metrics", by=house.operator)).text

    assert 'aimkeeper_sessions{status="active"} 2.0' in text
    assert 'aimkeeper_exchanges_total{via="token_update",what="rotated"} 1.0' in text
    assert 'aimkeeper_events_total{kind="logged_in"} 1.0' in text
    assert 'aimkeeper_events_total{kind="adopted"} 1.0' in text
    assert "aimkeeper_exposure_seconds_count" in text
    assert "aimkeeper_overdue_sessions 1.0" in text
    assert "aimkeeper_at_risk_sessions 0.0" in text
    assert "@" not in text
    assert session.id not in text


@pytest.mark.parametrize("path", ["/", "/api/sessions", "/api/tokenUpdate", "/docs", "/static/page.css"])
async def test_a_worker_that_answers_for_its_health_answers_nothing_else(house, path):
    health = house.caller(app=house.app(health_only=True))

    answers = [await house.ask("GET", asked, caller=health) for asked in ("/healthz", "/readyz", path)]

    assert [answer.status_code for answer in answers] == [200, 200, 404]
