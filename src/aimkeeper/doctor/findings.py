"""What an examination finds: one sentence each, and how bad it is."""

from dataclasses import dataclass
from enum import StrEnum

# Exit statuses (SPEC, "Command line"): of several findings the store's goes before the upstream's before the rest.
FAULT, USAGE, STORE, UPSTREAM, REFUSED = 1, 2, 3, 4, 6
_GRAVEST_FIRST = (STORE, UPSTREAM, REFUSED, USAGE, FAULT)


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"  # worth knowing; nothing to do
    WARNING = "warning"  # it works, and will not for ever
    FAILED = "failed"  # it does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was looked at.

    Attributes:
        about: What was looked at, in one or two words.
        told: A sentence; where something is to be done, it says what. Never a secret.
        status: The exit status it asks for; 0 where nothing is wrong.
    """

    level: Level
    about: str
    told: str
    status: int = 0


def fine(about: str, told: str) -> Finding:
    return Finding(Level.OK, about, told)


def note(about: str, told: str) -> Finding:
    return Finding(Level.NOTE, about, told)


def warning(about: str, told: str) -> Finding:
    return Finding(Level.WARNING, about, told, FAULT)


def failed(about: str, told: str, status: int = FAULT) -> Finding:
    return Finding(Level.FAILED, about, told, status)


def exit_status(findings: list[Finding]) -> int:
    """The status of the whole examination."""
    asked_for = {finding.status for finding in findings}
    return next((status for status in _GRAVEST_FIRST if status in asked_for), 0)
