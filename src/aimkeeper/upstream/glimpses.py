"""What of an answer's headers may be shown to people: dates, kinds, names of cookies; never a value."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from aimkeeper.core.outcome import Glimpse, NoReply, Reply

_COOKIE_NAME = re.compile(r"[\w-]{1,40}")
_MEDIA_TYPE = re.compile(r"[a-z]{1,20}/[a-z.+-]{1,40}")


def glimpse(via: str, reply: Reply | NoReply, at: datetime, took: timedelta) -> Glimpse:
    """What of an exchange may be shown to people: of cookies the names."""
    if isinstance(reply, NoReply):
        return Glimpse(via=via, at=at, took=took, reason=reply.reason)
    names = (header.partition("=")[0].strip() for header in reply.set_cookies if "=" in header)
    kind = (reply.content_type or "").partition(";")[0].strip().lower()
    return Glimpse(
        via=via,
        at=at,
        took=took,
        status=reply.status,
        date=read_date(reply.date),
        content_type=kind if _MEDIA_TYPE.fullmatch(kind) else None,
        cookies=tuple(dict.fromkeys(name for name in names if _COOKIE_NAME.fullmatch(name))),
    )


def read_date(header: str | None) -> datetime | None:
    """A date as HTTP writes it; None when it is absent or unreadable."""
    try:
        moment = parsedate_to_datetime(header) if header else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
