"""What arrives: at Discord in the workflow's form, at a program signed, by Apprise wherever it can."""

import asyncio
import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from aimkeeper.core.errors import ConfigError
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.news import Digest, Level, Message, Part
from aimkeeper.core.telling import Problem, sign
from aimkeeper.notify import by_apprise
from aimkeeper.notify.channels import Batch, ByApprise, Discord, Webhook
from aimkeeper.notify.post import Post
from aimkeeper.testing import ManualClock

from .conftest import HOOK, SECRET

NOW = datetime(2026, 1, 1, 12, 30, 15, tzinfo=UTC)
ENDED = Event(
    kind=EventKind.ENDED, at=NOW, session_id="1", email="ana_maria@example.com", data={"cause": "server_ended"}
)


def batch(*facts: Event, link="") -> Batch:
    digest = Digest()
    for fact in facts:
        digest.add(fact)
    message = digest.message(link)
    return Batch("the-id", NOW, message, tuple((str(number), fact) for number, fact in enumerate(facts, start=1)))


@pytest.fixture
async def post():
    async with Post("aimkeeper/test") as post:
        yield post


@pytest.fixture
async def discord(receiver, post):
    return Discord(f"{receiver.url}{HOOK}", post)


@pytest.fixture
async def webhook(receiver, post):
    return Webhook(f"{receiver.url}/hook?of=mine", SECRET, post, ManualClock(NOW))


# ------------------------------------------------------------ Discord


async def test_discord_is_told_in_the_form_of_the_workflow(discord, receiver):
    told = await discord.tell(batch(ENDED, link="https://keeper.example.com"))

    [arrived] = receiver.told
    assert told.problem is None
    assert (arrived.method, arrived.path, arrived.headers["content-type"]) == ("POST", HOOK, "application/json")
    assert arrived.json["content"] == "\N{POLICE CARS REVOLVING LIGHT} **A session ended**"
    [embed] = arrived.json["embeds"]
    assert embed["title"] == "A session ended"
    assert embed["color"] == 15158332
    assert [(field["name"], field["inline"]) for field in embed["fields"]] == [
        ("From", True),
        ("Page", True),
        ("Timestamp", True),
    ]
    assert embed["fields"][1]["value"] == "https://keeper.example.com"
    assert embed["fields"][2]["value"] == "2026-01-01 12:30:15 UTC"


async def test_discord_says_who_why_and_what_to_do_and_takes_no_name_for_markup(discord, receiver):
    await discord.tell(batch(ENDED))

    text = receiver.told[0].json["embeds"][0]["description"]
    assert r"12:30 ana\_maria\@example.com: AimHarder ended it" in text
    assert "Log in again: aimkeeper login E-MAIL" in text


async def test_nobody_is_woken_by_an_e_mail_that_looks_like_a_mention(discord, receiver):
    await discord.tell(batch(Event(kind=EventKind.TOKEN_LOST, at=NOW, session_id="1", email="@everyone@example.com")))

    assert receiver.told[0].json["allowed_mentions"] == {"parse": []}
    assert "@everyone" not in receiver.told[0].json["embeds"][0]["description"].replace(r"\@", "")


async def test_the_longest_message_is_one_that_discord_takes(discord, receiver):
    facts = [
        Event(kind=kind, at=NOW, session_id=str(number), email=f"{'_' * 300}{number}@example.com")
        for kind in (EventKind.TOKEN_LOST, EventKind.RELOGIN_FAILED, EventKind.HOLDER_CONFLICT, EventKind.ENDED)
        for number in range(100)
    ]

    await discord.tell(batch(*facts, Event(kind=EventKind.OUTAGE_BEGAN, at=NOW)))

    [embed] = receiver.told[0].json["embeds"]
    assert len(receiver.told[0].json["content"]) <= 2000
    assert len(embed["description"]) <= 4096
    assert len(embed["title"]) <= 256


# ------------------------------------------------------------ the webhook


async def test_a_program_gets_each_event_as_json(webhook, receiver):
    outage = Event(kind=EventKind.OUTAGE_BEGAN, at=NOW, data={"attempts": 50})

    await webhook.tell(batch(ENDED, outage))

    [arrived] = receiver.told
    assert arrived.path == "/hook?of=mine"
    assert arrived.json == {
        "type": "aimkeeper.news",
        "timestamp": "2026-01-01T12:30:15.000Z",
        "data": {
            "events": [
                {
                    "id": "1",
                    "at": "2026-01-01T12:30:15.000Z",
                    "kind": "ended",
                    "session": "1",
                    "email": "ana_maria@example.com",
                    "data": {"cause": "server_ended"},
                    "text": "ana_maria@example.com: AimHarder ended it "
                    "(a login elsewhere, a changed password or its own reasons).",
                },
                {
                    "id": "2",
                    "at": "2026-01-01T12:30:15.000Z",
                    "kind": "outage_began",
                    "session": None,
                    "email": None,
                    "data": {"attempts": 50},
                    "text": "Nearly every request failed.",
                },
            ]
        },
    }


async def test_it_is_signed_over_its_id_its_time_and_its_body(webhook, receiver):
    await webhook.tell(batch(ENDED))

    [arrived] = receiver.told
    message, sent_at = arrived.headers["webhook-id"], arrived.headers["webhook-timestamp"]
    expected = hmac.new(SECRET.encode(), f"{message}.{sent_at}.".encode() + arrived.body, hashlib.sha256).digest()
    assert message == arrived.headers["idempotency-key"] == "the-id"
    assert sent_at == str(int(NOW.timestamp()))
    assert arrived.headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")),
        ("a plain secret of mine", b"a plain secret of mine"),
        ("whsec_that is no base64!", b"whsec_that is no base64!"),
    ],
    ids=["base64 after its mark", "plain", "a mark and no base64"],
)
def test_a_secret_is_its_own_key_or_holds_one_as_the_standard_has_it(secret, key):
    expected = hmac.new(key, b"msg_1.1614265330.{}", hashlib.sha256).digest()

    assert sign(secret, "msg_1", 1614265330, b"{}") == f"v1,{base64.b64encode(expected).decode()}"


# ------------------------------------------------------------ what may come back


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (200, None),
        (204, None),
        (301, Problem.MOVED),
        (400, Problem.REFUSED),
        (404, Problem.REFUSED),
        (429, Problem.RATE_LIMITED),
        (500, Problem.SERVER_ERROR),
        (503, Problem.SERVER_ERROR),
    ],
)
async def test_an_answer_is_told_in_one_word(discord, receiver, status, problem):
    receiver.answers, receiver.headers = [status], {"location": f"{receiver.url}/elsewhere"}

    told = await discord.tell(batch(ENDED))

    assert told.problem is problem
    assert [arrived.path for arrived in receiver.told] == [HOOK]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3), ("0.25", 0.25), ("soon", None), ("-1", None), ("9" * 30, None), ("\xe9", None)],
    ids=["seconds", "a part of one", "a word", "the past", "for ever", "no plain text"],
)
async def test_how_long_to_wait_is_read_where_it_can_be(discord, receiver, header, seconds):
    receiver.answers, receiver.headers = [429], {"retry-after": header}

    told = await discord.tell(batch(ENDED))

    assert told.problem is Problem.RATE_LIMITED
    assert (told.retry_after.total_seconds() if told.retry_after else None) == seconds


async def test_where_nobody_listens_the_word_is_unreachable(post):
    assert (await Discord("http://127.0.0.1:1/hook", post).tell(batch(ENDED))).problem is Problem.UNREACHABLE


async def test_a_line_that_breaks_is_told_in_one_word(post):
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        told = await Discord(f"http://127.0.0.1:{port}/hook", post).tell(batch(ENDED))

    assert told.problem is Problem.UNREACHABLE


async def test_one_who_does_not_answer_in_time_is_given_up(receiver, monkeypatch):
    monkeypatch.setattr("aimkeeper.notify.post.TIMEOUT", timedelta(milliseconds=100))
    receiver.open.clear()
    async with Post("aimkeeper/test") as hasty:
        told = await Discord(f"{receiver.url}{HOOK}", hasty).tell(batch(ENDED))

    assert told.problem is Problem.TIMED_OUT


# ------------------------------------------------------------ Apprise


async def test_apprise_delivers_title_and_text(receiver):
    channel = ByApprise(f"json://{receiver.url.removeprefix('http://')}/somewhere", 1)

    told = await channel.tell(batch(ENDED))

    [arrived] = receiver.told
    assert told.problem is None
    assert (arrived.path, arrived.json["title"], arrived.json["type"]) == ("/somewhere", "A session ended", "failure")
    assert "ana_maria@example.com: AimHarder ended it" in arrived.json["message"]
    assert "github" not in arrived.body.decode()


async def test_what_apprise_can_not_deliver_it_says(receiver):
    receiver.answers = [500]

    told = await ByApprise(f"json://{receiver.url.removeprefix('http://')}", 1).tell(batch(ENDED))

    assert told.problem is Problem.NOT_DELIVERED


async def test_apprise_is_given_up_when_it_takes_too_long_and_no_process_is_left(receiver, monkeypatch):
    monkeypatch.setattr(by_apprise, "TIMEOUT_SECONDS", 0.05)
    started = []
    real = asyncio.create_subprocess_exec

    async def start(*arguments, **how):
        started.append(await real(*arguments, **how))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)

    told = await ByApprise("json://localhost:1", 1).tell(batch(ENDED))

    assert told.problem is Problem.TIMED_OUT
    assert [process.returncode for process in started] == [-9]


async def test_where_no_process_can_be_started_it_is_tried_again_and_nothing_is_refused(monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")

    told = await ByApprise("json://localhost:1", 1).tell(batch(ENDED))
    await by_apprise.check(["json://localhost"])

    assert told.problem is Problem.NOT_DELIVERED


async def test_an_address_that_apprise_does_not_know_is_named_by_its_number_and_not_shown():
    with pytest.raises(ConfigError, match="AIMKEEPER_NOTIFY_URLS: address 2 is none that Apprise can use") as refused:
        await by_apprise.check(["json://localhost", "nonsense://s3cret"])

    assert "s3cret" not in str(refused.value)


async def test_addresses_that_apprise_knows_are_taken():
    await by_apprise.check(["json://localhost", "mailto://user:password@example.com"])


def test_a_message_of_one_sentence_is_its_own_text():
    assert Message("All is well", Level.INFO, (Part("All is well"),)).text() == "All is well"
