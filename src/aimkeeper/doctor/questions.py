"""
What this store, and the exchanges just made, show of what nobody knows for certain about AimHarder.

The questions are those of docs/upstream.md, "Open questions", in its words. Pure: sessions and glimpses in, sentences
out; no secret is in them.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from aimkeeper.core.cookies import AUTH_COOKIE
from aimkeeper.core.outcome import Glimpse, Reason
from aimkeeper.core.session import Session, Status, Turn

# Reasons of an exchange that left and brought nothing whole: the token may be spent.
LOST = {Reason.BROKEN_OFF, Reason.TIMED_OUT, Reason.SERVER_ERROR, Reason.UNREADABLE, Reason.HOLDER_DIED}
# A gap as long as the ordinary one proves nothing.
ORDINARY_GAP = timedelta(minutes=16)
_FORBIDDEN = 403
_FORM = re.compile(r"\d+\|\d{10}\|[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Shown:
    """
    What was seen about one question.

    Attributes:
        told: One sentence; None where nothing was seen.
    """

    question: str
    told: str | None


def shown(sessions: Sequence[Session], glimpses: Sequence[Glimpse]) -> list[Shown]:
    """One line for each question that anything could have been seen of."""
    return [Shown(question, look(sessions, glimpses)) for question, look in QUESTIONS.items()]


def _idle_life(sessions: Sequence[Session], _glimpses: Sequence[Glimpse]) -> str | None:
    survived: list[timedelta] = []
    died: list[timedelta] = []
    for before, after in _consecutive(sessions):
        gap = timedelta(seconds=after.at - before.at)
        if before.what == "rotated" and after.what in ("rotated", "logged_out"):
            (survived if after.what == "rotated" else died).append(gap)
    told = []
    if max(survived, default=ORDINARY_GAP) > ORDINARY_GAP:
        told.append(f"one was rotated after {_minutes(max(survived))}")
    if died:
        told.append(f"one was told to log out after {_minutes(min(died))}")
    return " and ".join(told) or None


def _spent_token(sessions: Sequence[Session], _glimpses: Sequence[Glimpse]) -> str | None:
    taken, refused = [], 0
    for before, after in _consecutive(sessions):
        if before.what in LOST and before.generation == after.generation:
            if after.what == "rotated":
                taken.append(after.at - before.at)
            refused += after.what == "logged_out"
    if not taken and not refused:
        return None
    longest = f" (after at most {max(taken):.0f} s)" if taken else ""
    often = f"taken {_times(len(taken))}{longest}, refused {_times(refused)}"
    return f"presented again after an answer was lost, it was {often}"


def _token_life(sessions: Sequence[Session], _glimpses: Sequence[Glimpse]) -> str | None:
    tokens = [(session.secrets.token, session.rotated_at) for session in sessions if session.secrets.token]
    days = [(token.expires_at - at) / timedelta(days=1) for token, at in tokens if token.expires_at]
    if not tokens:
        return None
    usual = sum(_FORM.fullmatch(token.text) is not None for token, _ in tokens)
    told = f"{usual} of {len(tokens)} tokens have the known form"
    return f"{told}; their expiry is {min(days):.1f} to {max(days):.1f} days after they came" if days else told


def _content_type(_sessions: Sequence[Session], glimpses: Sequence[Glimpse]) -> str | None:
    kinds = {glimpse.content_type for glimpse in _rotations(glimpses) if glimpse.content_type}
    return ", ".join(sorted(kinds)) or None


def _renewed(_sessions: Sequence[Session], glimpses: Sequence[Glimpse]) -> str | None:
    seen = list(_rotations(glimpses))
    names = sorted({name for glimpse in seen for name in glimpse.cookies})
    return f"it set {', '.join(names) or 'no cookie'}" if seen else None


def _setrefresh_spends(sessions: Sequence[Session], _glimpses: Sequence[Glimpse]) -> str | None:
    changed = [
        before.token != after.token
        for before, after in _consecutive(sessions)
        if after.via == "setrefresh" and after.what == before.what == "rotated"
    ]
    return f"of {len(changed)} tokens it brought, {sum(changed)} differed from the one before" if changed else None


def _setrefresh_fails(sessions: Sequence[Session], _glimpses: Sequence[Glimpse]) -> str | None:
    failures = {turn.what for session in sessions for turn in session.ring if turn.via == "setrefresh"} - {"rotated"}
    return f"as: {', '.join(sorted(failures))}" if failures else None


def _attributes(sessions: Sequence[Session], _glimpses: Sequence[Glimpse]) -> str | None:
    kinds = {
        f"{'for the host' if cookie.host_only else 'for the domain'} {cookie.host}, "
        f"{'with an expiry' if cookie.expires_at else 'without expiry'}"
        for session in sessions
        for cookie in session.jar.cookies
        if cookie.name == AUTH_COOKIE
    }
    return "; ".join(sorted(kinds)) or None


def _earlier_logins(sessions: Sequence[Session], _glimpses: Sequence[Glimpse]) -> str | None:
    living: dict[str, int] = defaultdict(int)
    for session in sessions:
        living[session.email] += session.status is Status.ACTIVE
    several = sum(count > 1 for count in living.values())
    return f"accounts with more than one living session here: {several}" if several else None


def _welcome(_sessions: Sequence[Session], glimpses: Sequence[Glimpse]) -> str | None:
    answered = [glimpse.status for glimpse in glimpses if glimpse.status is not None]
    if not answered:
        return None
    return "no: 403" if _FORBIDDEN in answered else "yes"


QUESTIONS: dict[str, Callable[[Sequence[Session], Sequence[Glimpse]], str | None]] = {
    "How long may a session idle?": _idle_life,
    "What does a spent token do?": _spent_token,
    "How long is a token's own life?": _token_life,
    "What content type has the JSON of tokenUpdate?": _content_type,
    "Does tokenUpdate renew `amhrdrauth` and `PHPSESSID`?": _renewed,
    "Does setrefresh spend the token?": _setrefresh_spends,
    "How does setrefresh fail?": _setrefresh_fails,
    "Which attributes has `amhrdrauth`?": _attributes,
    "What does a login do to earlier ones?": _earlier_logins,
    "Is our address welcome?": _welcome,
}


def _consecutive(sessions: Sequence[Session]) -> Iterator[tuple[Turn, Turn]]:
    """Neighbours in the rings, whoami left out: it spends nothing."""
    for session in sessions:
        yield from pairwise(turn for turn in session.ring if turn.via != "whoami")


def _rotations(glimpses: Sequence[Glimpse]) -> Iterator[Glimpse]:
    return (glimpse for glimpse in glimpses if glimpse.via == "token_update" and glimpse.status is not None)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _minutes(gap: timedelta) -> str:
    return f"{gap.total_seconds() / 60:.0f} min"
