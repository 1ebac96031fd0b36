"""A process that serves: its socket, its keys, its note of where it listens, and how it ends."""

import asyncio
import socket
import stat
from contextlib import asynccontextmanager

import httpx
import pytest

from aimkeeper.core.errors import ConfigError
from aimkeeper.serving import address_of, bind, operator_keys, served_at, serving, sign_in_link
from aimkeeper.settings import Settings

NOTE = "aimkeeper.db-served-at"


@asynccontextmanager
async def open_house(house, **options):
    """The house, serving on a real socket; with what tells it to stop."""
    stopping = asyncio.Event()
    with bind("127.0.0.1", 0) as listening:
        async with serving(house.service, listening, stopping=stopping, **{"with_worker": False, **options}) as running:
            running_and_stopping = running, stopping
            yield running_and_stopping


def get(url, **what):
    async def ask():
        async with httpx.AsyncClient() as client:
            return await client.get(url, **what)

    return ask()


# ---------------------------------------------------------------- the socket


def test_a_port_in_use_is_told_with_the_way_out():
    with (
        bind("127.0.0.1", 0) as taken,
        pytest.raises(ConfigError, match=r"^port \d+ is in use: choose another with --port"),
    ):
        bind("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "port"),
    [("203.0.113.1", 0), ("no.such.host.invalid", 0), ("127.0.0.1", 70_000), ("a" * 300, 0), ("300.1.1.1", 0)],
)
def test_an_address_that_is_not_ours_is_told_as_one_sentence(host, port):
    with pytest.raises(ConfigError) as caught:
        bind(host, port)

    sentence = str(caught.value)
    assert sentence.startswith(f"can't listen on {host}, port {port}: ")
    assert sentence.count("\n") == 0
    assert sentence.endswith(".")
    assert not sentence.endswith("..")


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("keeper.example.com", "http://keeper.example.com:8000"),
    ],
)
def test_an_address_is_shown_as_somebody_on_this_machine_can_open_it(host, shown):
    assert address_of(host, 8000) == shown


# ---------------------------------------------------------------- the operator's key


def test_the_operator_s_key_is_made_once_and_for_its_owner_only(tmp_path):
    settings = Settings(data_dir=tmp_path)

    first, again = operator_keys(settings), operator_keys(settings)

    path = tmp_path / "operator.key"
    assert first == again == (path.read_text().strip(),)
    assert len(first[0]) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_keys_that_were_set_are_used_and_none_is_made(tmp_path):
    keys = ("the new key of the operator", "the old key of the operator")

    assert operator_keys(Settings(data_dir=tmp_path, api_keys=keys)) == keys
    assert not (tmp_path / "operator.key").exists()


@pytest.mark.parametrize("content", [b"", b"\n", b"short", b"\xff\xfe\xfd" * 20])
def test_a_key_file_without_a_key_is_refused_for_it_would_open_the_page_to_everybody(tmp_path, content):
    (tmp_path / "operator.key").write_bytes(content)

    with pytest.raises(ConfigError, match=r"operator\.key holds no key: delete it"):
        operator_keys(Settings(data_dir=tmp_path))


def test_a_key_file_that_can_not_be_read_is_told_as_one_sentence(tmp_path):
    (tmp_path / "operator.key").mkdir()

    with pytest.raises(ConfigError, match=r"operator\.key can't be read: Is a directory\.$"):
        operator_keys(Settings(data_dir=tmp_path))


# ---------------------------------------------------------------- while it serves


async def test_it_answers_on_its_socket_and_a_link_opens_the_page(house):
    async with open_house(house) as (running, _), httpx.AsyncClient() as browser:
        link = await sign_in_link(house.service, running.url)
        opened = await browser.get(link)
        page = await browser.get(running.url)

    assert (opened.status_code, page.status_code) == (200, 200)
    assert "board.js" in page.text


async def test_it_leaves_a_note_of_where_it_listens_while_it_does(house):
    settings = house.service.settings

    async with open_house(house) as (running, _):
        during = served_at(settings)
    after = served_at(settings)

    assert during == running.url
    assert after == "http://127.0.0.1:8000"
    assert not (house.folder / NOTE).exists()


async def test_the_note_of_another_that_serves_too_is_left_alone(house):
    async with open_house(house) as (_, _), open_house(house) as (second, _):
        pass
    assert not (house.folder / NOTE).exists()

    async with open_house(house):
        (house.folder / NOTE).write_text(f"{second.url}\n")

    assert served_at(house.service.settings) == second.url


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", None])
def test_without_a_note_the_page_is_where_the_settings_say(tmp_path, note):
    if note is not None:
        (tmp_path / NOTE).write_bytes(note)

    assert served_at(Settings(data_dir=tmp_path, host="0.0.0.0", port=9999)) == "http://127.0.0.1:9999"


def test_the_public_address_goes_before_any_note(tmp_path):
    (tmp_path / NOTE).write_text("http://127.0.0.1:9999")

    assert served_at(Settings(data_dir=tmp_path, app_url="https://keeper.example.com")) == "https://keeper.example.com"


async def test_metrics_are_not_there_for_others_who_come_through_a_proxy_on_this_machine(house):
    async with open_house(house) as (running, _):
        direct = await get(f"{running.url}/metrics")
        proxied = await get(f"{running.url}/metrics", headers={"x-forwarded-for": "203.0.113.9"})

    assert (direct.status_code, proxied.status_code) == (200, 401)


async def test_a_worker_alone_answers_for_its_health_without_leaving_a_note(house):
    async with open_house(house, with_worker=True, health_only=True) as (running, _):
        answers = [(await get(running.url + path)).status_code for path in ("/healthz", "/metrics", "/")]
        assert not (house.folder / NOTE).exists()

    assert answers == [200, 200, 404]


async def test_a_worker_that_ends_by_itself_ends_the_process_and_says_of_what(house, monkeypatch):
    async def fail(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(house.service.store, "claim_due", fail)

    with pytest.raises(ZeroDivisionError):
        async with open_house(house, with_worker=True) as (_, stopping):
            await asyncio.wait_for(stopping.wait(), 5)


async def test_the_socket_is_free_again_afterwards(house):
    async with open_house(house) as (running, _):
        port = int(running.url.rpartition(":")[2])

    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


# ---------------------------------------------------------------- while it stops


@pytest.mark.parametrize("asked", ["an exchange", "a bulk update"])
async def test_callers_who_wait_in_line_are_told_to_come_again_when_it_stops(house, asked):
    session = await house.log_in()
    await house.adopt("berta@example.com")
    house.service.keeper.pace.take(house.service.keeper.pace.allowance() + 5000)  # five seconds' worth of others
    if asked == "an exchange":
        given = {"fingerprint": session.fingerprint, "token": session.token.text}
        work = house.caller().post("/api/tokenUpdate", json=given)
    else:
        work = house.caller().post("/api/cron/refresh-tokens", headers={"authorization": f"Bearer {house.cron}"})
    waiting = asyncio.create_task(work)
    await asyncio.sleep(0)

    house.service.keeper.drain()

    answer = await asyncio.wait_for(house.clock.finish(waiting, at_most=12), 10)
    assert answer.status_code == (503 if asked == "an exchange" else 200)
