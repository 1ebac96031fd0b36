"""Where settings stand: the environment, `.env`, `aimkeeper.toml`, and files that hold one secret each."""

import re
import tomllib
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from pathlib import Path

from aimkeeper.core.errors import ConfigError
from aimkeeper.core.values import LONGEST_NUMBER

_POSITION = re.compile(r"\((at (?:line \d+, column \d+|end of document))\)")

# What `exec` puts into the environment of its command, which may call us again.
GIVEN_BY_EXEC = ("AIMKEEPER_CREDENTIALS_URL", "AIMKEEPER_CREDENTIALS_BEARER")
# What it is called, and what it says, by variable.
Place = tuple[str, dict[str, str]]


def find(names: Iterable[str], places: Iterable[Place], *, secret: bool) -> tuple[str, str, str] | None:
    """The first of *names* that is set, in the first place that knows it: variable, text, place."""
    for place, known in places:
        for name in names:
            if known.get(name, "").strip():
                return name, known[name].strip(), place
            if secret and known.get(f"{name}_FILE", "").strip():
                return f"{name}_FILE", _file(f"{name}_FILE", known[f"{name}_FILE"].strip()), place
    return None


def strangers(names: Collection[str], places: Iterable[Place]) -> list[str]:
    """A sentence for each variable that is called like one of ours and is none."""
    known = {*names, *(f"{name}_FILE" for name in names), *GIVEN_BY_EXEC}
    return [
        f"{variable}, in {place}, is no setting{_perhaps(variable, known)}; it changes nothing."
        for place, told in places
        for variable in sorted(told)
        if variable.startswith("AIMKEEPER_") and variable not in known
    ]


def _perhaps(variable: str, known: Collection[str]) -> str:
    near = get_close_matches(variable, known, n=1, cutoff=0.75)
    return f" (did you mean {near[0]}?)" if near else ""


def _file(variable: str, path: str) -> str:
    try:
        text = Path(path).expanduser().read_text("utf-8").strip()
    except (OSError, ValueError, RuntimeError):
        raise ConfigError(f"{variable} names a file that can't be read: {path}.") from None
    if not text:
        raise ConfigError(f"{variable} names an empty file: {path}.")
    return text


def dotenv(path: Path) -> dict[str, str]:
    """What a `.env` file says, by variable."""
    if not path.is_file():
        return {}
    import dotenv as reader  # noqa: PLC0415 (only where there is such a file)

    try:
        return {name: value or "" for name, value in reader.dotenv_values(path, encoding="utf-8-sig").items()}
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path} can't be read.") from None


def toml(path: Path, names: Collection[str]) -> dict[str, str]:
    """
    What an `aimkeeper.toml` says, by variable. Keys are *names*, in either case, with or without `aimkeeper_` in front.

    Raises:
        ConfigError: It can't be read, or holds something else.
    """
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} can't be read: {_why(error)}.") from None
    known = {*names, *(f"{name}_FILE" for name in names)}
    told = {}
    for key, value in table.items():
        name = key.upper() if key.upper() in known else f"AIMKEEPER_{key.upper()}"
        if name not in known:
            raise ConfigError(f"{path} holds {key!r}, which is not a setting: `aimkeeper settings` lists them.")
        if isinstance(value, bool):
            told[name] = str(value).lower()
        elif isinstance(value, str) or (isinstance(value, int | float) and abs(value) < 10**LONGEST_NUMBER):
            told[name] = str(value)
        else:
            raise ConfigError(f"{path} holds {key!r}, whose value must be a text or a plain number.")
    return told


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or "it is unreadable"
    # Where it is broken, when the parser says so; never a piece of what stands there.
    place = _POSITION.search(str(error))
    return f"it is broken {place[1]}" if place else "it is not TOML"
