"""Claims: which session has the site's own cookie that a browser holds."""

import hmac
from contextlib import suppress
from urllib.parse import unquote

from aimkeeper.core.cookies import AUTH_COOKIE
from aimkeeper.core.session import Session, Status, normal_email
from aimkeeper.store.store import Store

MOST_CANDIDATES = 20
# The app's framework may have percent-encoded the value once more when it set its cookie.
_MOST_ENCODINGS = 3


async def claimed(store: Store, cookie_header: str, email: object) -> Session | None:
    """
    The living session whose stored cookie equals one in *cookie_header*.

    Args:
        store: To look in.
        cookie_header: As the browser sent it.
        email: Which the app remembers, where the cookie does not name its account.
    """
    held = [_plain(value) for name, _, value in map(_split, cookie_header.split(";")) if name == AUTH_COOKIE and value]
    if not held:
        return None
    candidates = await _candidates(store, held, email)
    return next((session for session in candidates if _has(session, held)), None)


async def _candidates(store: Store, held: list[str], email: object) -> list[Session]:
    found: list[Session] = []
    for value in dict.fromkeys(held):
        account, bar, _ = value.partition("|")
        if bar and account:
            found += await store.http.of_account(account, MOST_CANDIDATES)
    with suppress(ValueError):  # no e-mail: the cookie must do
        found += await store.by_email(normal_email(email), MOST_CANDIDATES) if isinstance(email, str) else []
    return [session for session in found if session.status is not Status.ENDED]


def _has(session: Session, held: list[str]) -> bool:
    stored = [_plain(cookie.value) for cookie in session.jar.cookies if cookie.name == AUTH_COOKIE]
    return any(hmac.compare_digest(ours.encode(), theirs.encode()) for ours in stored for theirs in held)


def _split(part: str) -> tuple[str, str, str]:
    name, sign, value = part.partition("=")
    return name.strip(), sign, value.strip().strip('"')


def _plain(value: str) -> str:
    for _ in range(_MOST_ENCODINGS):
        value = unquote(value)
    return value
