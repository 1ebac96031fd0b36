"""The page says it as it is: its check takes what is sent, and nothing else; its example has what a program gets."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.news import NEWS, sentence
from aimkeeper.notify.channels import Batch, Webhook
from aimkeeper.notify.post import Post
from aimkeeper.testing import ManualClock

from .conftest import SECRET

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/be-told.md").read_text("utf-8")


@pytest.fixture
async def arrived(receiver):
    """What a program gets when a session ends now."""
    now = datetime.now(UTC)
    ended = Event(
        kind=EventKind.ENDED, at=now, session_id="1", email="ana@example.com",
        data={"cause": "server_ended", "generation": 96},
    )  # fmt: skip
    async with Post("aimkeeper/test") as post:
        await Webhook(receiver.url, SECRET, post, ManualClock(now)).tell(Batch("the-id", now, None, (("17", ended),)))
    return receiver.told[0]


@pytest.fixture(scope="module")
def is_genuine():
    names = {}
    exec(re.search(r"```python\n(.+?)```", PAGE, re.DOTALL)[1], names)
    return names["is_genuine"]


async def test_the_page_s_own_check_takes_what_is_sent_and_nothing_else(is_genuine, arrived):
    later = arrived.headers | {"webhook-timestamp": str(int(arrived.headers["webhook-timestamp"]) + 1)}
    long_ago = arrived.headers | {"webhook-timestamp": "1600000000"}

    assert is_genuine(arrived.headers, arrived.body, SECRET)
    assert not is_genuine(arrived.headers, arrived.body + b" ", SECRET)
    assert not is_genuine(arrived.headers, arrived.body, SECRET + "x")
    assert not is_genuine(arrived.headers | {"webhook-id": "another"}, arrived.body, SECRET)
    assert not is_genuine(later, arrived.body, SECRET)
    assert not is_genuine(long_ago, arrived.body, SECRET)


async def test_the_page_s_example_has_the_form_of_what_is_sent(arrived):
    shown = json.loads(re.search(r"```json\n(.+?)```", PAGE, re.DOTALL)[1])
    [event], [real] = shown["data"]["events"], arrived.json["data"]["events"]

    assert list(shown) == list(arrived.json)
    assert {name: type(value) for name, value in event.items()} == {n: type(value) for n, value in real.items()}
    assert (event["text"], event["data"]) == (real["text"], real["data"])


def test_every_kind_of_news_has_a_row_on_the_page():
    rows = re.search(r"\| When \| You hear \|\n\|-+\|-+\|\n((?:\|.+\n)+)", PAGE)[1].splitlines()

    # Those that begin and end something share one.
    ends = {EventKind.OUTAGE_ENDED, EventKind.VERDICTS_RELEASED, EventKind.SAFE_AGAIN, EventKind.RATE_ENOUGH}
    assert len(rows) == len(NEWS - ends)
    assert all(sentence(Event(kind=kind, at=datetime.now(UTC))) for kind in NEWS)
