"""The channels: Discord, a webhook for programs, and whatever Apprise knows."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from aimkeeper.clock import Clock
from aimkeeper.core.events import Event
from aimkeeper.core.news import Level, Message, sentence
from aimkeeper.core.telling import Told, sign
from aimkeeper.notify.by_apprise import deliver
from aimkeeper.notify.post import Post

# People are told at most this often; what happens meanwhile is told together.
PEOPLE_GAP, PROGRAM_GAP = timedelta(minutes=1), timedelta(seconds=1)
# So many events go to a program at a time.
MOST_EVENTS = 100

# The workflow's own colour for what failed, and its neighbours.
_COLOURS = {Level.BAD: 15158332, Level.WARNING: 15844367, Level.INFO: 3447003, Level.GOOD: 3066993}
_SIGNS = {
    Level.BAD: "\N{POLICE CARS REVOLVING LIGHT}",
    Level.WARNING: "\N{WARNING SIGN}\N{VARIATION SELECTOR-16}",
    Level.INFO: "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}",
    Level.GOOD: "\N{WHITE HEAVY CHECK MARK}",
}
# What Discord takes.
_LONGEST_TITLE, _LONGEST_TEXT = 256, 4000
_MARKDOWN = str.maketrans({char: f"\\{char}" for char in "\\*_~`|>[]()#@<"})


@dataclass(frozen=True, slots=True)
class Batch:
    """
    What a channel is told at a time.

    Attributes:
        id: The same for each try, and of no other batch.
        at: When the last of it happened.
        message: For people; None where nothing is left to say to them.
        events: With their places in the feed; only for channels that ask for them.
    """

    id: str
    at: datetime
    message: Message | None
    events: tuple[tuple[str, Event], ...] = ()


class Channel(Protocol):
    """
    Somebody who is told.

    Attributes:
        name: For people, logs and metrics; it holds no secret.
        most: So many events at a time; None = any number, as one message.
        gap: How long it is left alone after it was told.
    """

    name: str
    most: int | None
    gap: timedelta

    async def tell(self, batch: Batch) -> Told:
        """Try once."""


class Discord:
    """A Discord webhook; the message has the form of the workflow's."""

    most: int | None = None
    gap = PEOPLE_GAP

    def __init__(self, url: str, post: Post) -> None:
        self.name = "discord"
        self._url = url
        self._post = post

    async def tell(self, batch: Batch) -> Told:
        return await self._post.post(self._url, _json(_discord(batch)), {})


class Webhook:
    """A program's own address: each event as JSON, signed."""

    most: int | None = MOST_EVENTS
    gap = PROGRAM_GAP

    def __init__(self, url: str, secret: str, post: Post, clock: Clock) -> None:
        self.name = "webhook"
        self._url = url
        self._secret = secret
        self._post = post
        self._clock = clock

    async def tell(self, batch: Batch) -> Told:
        body = _json(_events(batch))
        sent_at = int(self._clock.now().timestamp())
        headers = {
            "idempotency-key": batch.id,
            "webhook-id": batch.id,
            "webhook-timestamp": str(sent_at),
            "webhook-signature": sign(self._secret, batch.id, sent_at, body),
        }
        return await self._post.post(self._url, body, headers)


class ByApprise:
    """One of Apprise's addresses."""

    most: int | None = None
    gap = PEOPLE_GAP

    def __init__(self, url: str, number: int) -> None:
        self.name = f"apprise-{number}"
        self._url = url

    async def tell(self, batch: Batch) -> Told:
        assert batch.message is not None, "people are told something or nothing"
        return await deliver(self._url, batch.message)


def _discord(batch: Batch) -> dict[str, Any]:
    message = batch.message
    assert message is not None, "people are told something or nothing"
    text = message.text().translate(_MARKDOWN)
    return {
        "content": f"{_SIGNS[message.level]} **{message.title}**",
        "embeds": [
            {
                "title": message.title[:_LONGEST_TITLE],
                "description": text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…",
                "color": _COLOURS[message.level],
                "fields": [
                    {"name": "From", "value": "aimkeeper", "inline": True},
                    {"name": "Page", "value": message.link or "aimkeeper open", "inline": True},
                    {"name": "Timestamp", "value": f"{batch.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", "inline": True},
                ],
            }
        ],
        # An e-mail may look like a mention; it shall wake nobody.
        "allowed_mentions": {"parse": []},
    }


def _events(batch: Batch) -> dict[str, Any]:
    return {
        "type": "aimkeeper.news",
        "timestamp": _iso(batch.at),
        "data": {
            "events": [
                {
                    "id": place,
                    "at": _iso(fact.at),
                    "kind": fact.kind.value,
                    "session": fact.session_id,
                    "email": fact.email,
                    "data": dict(fact.data),
                    "text": sentence(fact),
                }
                for place, fact in batch.events
            ]
        },
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
