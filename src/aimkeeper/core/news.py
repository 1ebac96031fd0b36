"""News: which events are worth a message to somebody who does not look, and what it says."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from aimkeeper.core.causes import BY_ITS_OWNER, WHY
from aimkeeper.core.events import Event, EventKind
from aimkeeper.core.session import Cause

# Of each kind so many are named in one message; the others are counted.
NAMED = 8
LONGEST_NAME = 80
# What goes on and on is told again only after it was quiet for so long.
QUIET = timedelta(hours=6)
REPEATING = frozenset((EventKind.HOLDER_CONFLICT, EventKind.RELOGIN_FAILED))


class Level(StrEnum):
    """How bad it is; the worst comes first."""

    BAD = "bad"  # something is being lost, or will be soon
    WARNING = "warning"  # somebody should look
    INFO = "info"
    GOOD = "good"  # something bad is over


@dataclass(frozen=True, slots=True)
class Part:
    """
    What is said of one kind of event.

    Attributes:
        head: One sentence without its stop; a title, where it stands alone.
        lines: One each for those that are named.
        advice: What to do; empty where there is nothing.
    """

    head: str
    lines: tuple[str, ...] = ()
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """
    One message for people.

    Attributes:
        title: One line.
        parts: The worst first.
        link: Where to look; empty where nobody said.
    """

    title: str
    level: Level
    parts: tuple[Part, ...]
    link: str = ""

    def text(self) -> str:
        """All of it below the title, as plain text."""
        blocks = []
        for part in self.parts:
            head = [] if part.head == self.title else [f"{part.head}."]
            blocks.append("\n".join((*head, *part.lines, *([part.advice] if part.advice else []))))
        return "\n\n".join((*filter(None, blocks), *([self.link] if self.link else []))) or self.title


@dataclass(frozen=True, slots=True)
class _Kind:
    level: Level
    one: str
    many: str
    advice: str = ""
    says: str = ""  # of each, in one sentence without its stop, with its data; empty where that does not do


_RATES = "The sessions need {due_per_second} rotations a second, and {allowed_per_second} may start"
_KINDS: Mapping[EventKind, _Kind] = {
    EventKind.ENDED: _Kind(
        Level.BAD,
        "A session ended",
        "{count} sessions ended",
        "Log in again: aimkeeper login E-MAIL. Until its secrets are wiped, aimkeeper revive E-MAIL undoes an end.",
    ),
    EventKind.TOKEN_LOST: _Kind(
        Level.BAD,
        "AimHarder refuses a session's token",
        "AimHarder refuses the tokens of {count} sessions",
        "Log in again: aimkeeper login E-MAIL.",
        "its cookies live, but AimHarder refuses its token",
    ),
    EventKind.AT_RISK: _Kind(
        Level.BAD,
        "Sessions are at risk",
        "Sessions are at risk",
        "aimkeeper status says who keeps them and how AimHarder answers.",
        "{count} sessions were not rotated for 29 minutes",
    ),
    EventKind.OUTAGE_BEGAN: _Kind(
        Level.BAD,
        "AimHarder fails nearly everybody",
        "AimHarder failed nearly everybody {count} times",
        "No end is declared meanwhile, and all goes on by itself when it answers. Nothing to do.",
        "Nearly every request failed",
    ),
    EventKind.VERDICTS_HELD: _Kind(
        Level.BAD,
        "AimHarder logs out too many at once",
        "AimHarder logged out too many at once, {count} times",
        "Their ends are held back. If it does not recover, decide: aimkeeper verdicts list.",
        "Too many sessions were told to log out within a minute",
    ),
    EventKind.STORE_COPIED: _Kind(
        Level.BAD,
        "Nothing is kept: this database was restored or copied",
        "Nothing is kept: this database was restored or copied",
        "Make sure that the other one is at rest, then: aimkeeper db take-over.",
        "Its tokens may be spent elsewhere, so nothing is sent",
    ),
    EventKind.RELOGIN_FAILED: _Kind(
        Level.WARNING,
        "A session could not be logged in again",
        "{count} sessions could not be logged in again",
    ),
    EventKind.HOLDER_CONFLICT: _Kind(
        Level.WARNING,
        "Two programs use one session's tokens",
        "Of {count} sessions, two programs each use the tokens",
        "Give each program its own session: a fingerprint of its own.",
        "somebody came with an older token whose successor is already in use",
    ),
    EventKind.RATE_TOO_LOW: _Kind(
        Level.WARNING,
        "The allowed rate is too low",
        "The allowed rate is too low",
        "Raise AIMKEEPER_MAX_RATE, or lengthen AIMKEEPER_REFRESH_EVERY: rotations come later and later.",
        _RATES,
    ),
    EventKind.REVIVED: _Kind(Level.GOOD, "A session is back", "{count} sessions are back"),
    EventKind.OUTAGE_ENDED: _Kind(Level.GOOD, "AimHarder answers again", "AimHarder answered again, {count} times"),
    EventKind.VERDICTS_RELEASED: _Kind(
        Level.GOOD, "Ends are declared again", "Ends were declared again, {count} times"
    ),
    EventKind.SAFE_AGAIN: _Kind(
        Level.GOOD,
        "No session is at risk any more",
        "No session is at risk any more",
        says="All were rotated within the last 29 minutes",
    ),
    EventKind.RATE_ENOUGH: _Kind(
        Level.GOOD, "The allowed rate suffices again", "The allowed rate suffices again", says=_RATES
    ),
}
NEWS = frozenset(_KINDS)

BY_HAND = ("hand", "operator")
_BY = {
    (True, EventKind.REVIVED): "its end was undone by hand",
    (False, EventKind.REVIVED): "a late answer brought it back",
    (True, EventKind.VERDICTS_RELEASED): "An operator decided",
    (False, EventKind.VERDICTS_RELEASED): "AimHarder recovered",
}
_PROBLEMS = {
    "bad_credentials": "AimHarder refused the remembered password, which is forgotten now: log in again",
    "locked_out": "AimHarder allows no further tries for a while; it is tried again by itself",
    "forbidden": "AimHarder refuses this machine's address: AIMKEEPER_UPSTREAM_PROXY may help",
    "unavailable": "AimHarder did not answer; it is tried again by itself",
    "unreadable": "AimHarder answered something unreadable; it is tried again by itself",
}


def is_news(fact: Event) -> bool:
    """
    Whether *fact* is worth a message.

    What an owner did to his own session is none; nor that one has ended which was adopted too late: `db adopt` said how
    many those are.
    """
    if fact.kind is EventKind.ENDED:
        return _cause(fact) not in BY_ITS_OWNER and not fact.data.get("stale")
    return fact.kind in NEWS


def sentence(fact: Event) -> str:
    """*fact*, which is news, in one sentence, its time left out; it names the account where it is about one."""
    return f"{_name(fact)}: {_said(fact)}." if fact.email else f"{_said(fact)}."


@dataclass(slots=True)
class _Group:
    count: int = 0
    named: list[Event] = field(default_factory=list)


class Digest:
    """Many events as one message: those of a kind together, the first few by name, the others counted."""

    def __init__(self) -> None:
        self._groups: dict[EventKind, _Group] = {}

    def __len__(self) -> int:
        """Of how many events it tells."""
        return sum(group.count for group in self._groups.values())

    def add(self, fact: Event) -> None:
        """Take *fact* in; it is news."""
        if fact.kind is EventKind.REVIVED and self._takes_back(fact):
            return
        group = self._groups.setdefault(fact.kind, _Group())
        group.count += 1
        if len(group.named) < NAMED:
            group.named.append(fact)

    def _takes_back(self, revived: Event) -> bool:
        """An end that was undone before anybody was told of it is not worth telling."""
        ends = self._groups.get(EventKind.ENDED, _Group())
        for index, fact in enumerate(ends.named):
            if fact.session_id == revived.session_id:
                del ends.named[index]
                ends.count -= 1
                if not ends.count:
                    del self._groups[EventKind.ENDED]
                return True
        return False

    def message(self, link: str = "") -> Message:
        """What is said to people. There is at least one event in it."""
        levels = list(Level)
        kinds = sorted(self._groups, key=lambda kind: levels.index(_KINDS[kind].level))
        parts = tuple(_part(kind, self._groups[kind]) for kind in kinds)
        more = f", and {len(parts) - 1} more" if len(parts) > 1 else ""
        return Message(f"{parts[0].head}{more}", _KINDS[kinds[0]].level, parts, link)


def _part(kind: EventKind, group: _Group) -> Part:
    known = _KINDS[kind]
    head = known.one if group.count == 1 else known.many.format(count=group.count)
    lines = [f"{fact.at:%H:%M} {sentence(fact)}" for fact in group.named]
    if group.count > len(group.named):
        lines.append(f"and {group.count - len(group.named)} more.")
    return Part(head, tuple(lines), known.advice)


def _said(fact: Event) -> str:
    told = fact.data
    match fact.kind:
        case EventKind.ENDED:
            cause = _cause(fact)
            return WHY[cause] if cause else "nobody knows why"
        case EventKind.RELOGIN_FAILED:
            return _PROBLEMS.get(str(told.get("problem")), "the remembered password did not bring it back")
        case EventKind.REVIVED | EventKind.VERDICTS_RELEASED:
            return _BY[told.get("by") in BY_HAND, fact.kind]
        case EventKind.OUTAGE_ENDED:
            return f"It was away for {_lasted(told.get('lasted_seconds'))}"
        case kind:
            # Where a number is asked for that no data tell, a fact of another version wrote them.
            return _KINDS[kind].says.format_map(defaultdict(lambda: "?", told))


def _cause(fact: Event) -> Cause | None:
    told = fact.data.get("cause")
    return next((cause for cause in Cause if cause.value == told), None)


def _name(fact: Event) -> str:
    email = "".join(char for char in fact.email or "" if char.isprintable())
    return email if len(email) <= LONGEST_NAME else f"{email[:LONGEST_NAME]}…"


def _lasted(seconds: object) -> str:
    if not isinstance(seconds, int):
        return "a while"
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"  # noqa: PLR2004 (two minutes read better so)
