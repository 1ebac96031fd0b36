"""
What the simulated site does when all is well (`Rules`), what goes wrong (`Faults`), what its boxes offer (`Timetable`).

Each rule is a question that docs/upstream.md leaves open; its default is the answer suggested there.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

OldToken = Literal["stateless", "refuse", "grace", "strict"]
EVERY_PATH = "*"

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")

# Faults of which at most one hits a request, in the order in which one throw of the dice picks among them.
PROBABILITIES = (
    "reset_before",
    "reset_after",
    "error_500",
    "html_502",
    "truncated",
    "bad_json",
    "empty",
    "rate_limited",
    "hang",
    "spurious_logout",
    "maintenance",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """
    How the site behaves. Durations in seconds.

    Attributes:
        idle_life: A session untouched this long is dead. Login, tokenUpdate and setrefresh touch it, nothing else.
        token_life: From issue to the expiry that a token carries; past it the token is refused, the session lives on.
        old_token: What presenting a spent token does: `stateless` = still accepted, and rotates; `refuse` = answers
            logout, the session lives; `grace` = accepted for *grace* after it was spent, then as *after_grace* says;
            `strict` = answers logout and ends the session.
        content_type: Of the JSON that tokenUpdate and a logout are answered with.
        logout_value: What stands in `{"logout": ...}`.
        cookies_on_update: tokenUpdate renews `amhrdrauth` and `PHPSESSID` too, not only the AWSALB pair.
        update_needs_cookie: tokenUpdate without the session's `amhrdrauth` answers logout; the session lives.
        bind_fingerprint: A token presented with another fingerprint answers logout; the session lives.
        setrefresh_rotates: setrefresh spends the token; otherwise it answers with the one presented.
        setrefresh_failure: `html` = 200 without the script; `redirect` = 302 to the login page.
        setrefresh_fingerprint: `same`, or `new` = setrefresh binds the session to another fingerprint and says so.
        box_needs_setrefresh: Bookings answer logout until a setrefresh with `redirect` named their host.
        lockout_after: Wrong passwords in a row that lock an e-mail out; 0 = never.
        lockout: How long it stays locked out.
        logout_scope: What `/logout` ends: every session of the `account`, or that `session`.
        amhrdrauth_host_only: `amhrdrauth` comes without a Domain.
        amhrdrauth_attributes: `plain` = Path and HttpOnly; `dated` = Expires and Secure as well.
        cookie_domain: Domain of `amhrdrauth`; empty = the parent domain of a Host below aimharder.com or .es.
        wrong_password: `401` with an error, or `200` with `authOK` false and a reason.
        login_form: The legacy HTML form still logs in; otherwise it answers with the home page.
        login_kills_previous: What a login ends: `fingerprint` = the earlier login with the same fingerprint, whose
            tokens then only answer logout; `account` = every session of the account; `nothing` = none, and the token
            it replaces counts as spent.
        forbid: Everything answers 403 with HTML, as to an unwelcome address.
    """

    idle_life: float = 90 * 60.0
    token_life: float = 90 * 24 * 3600.0
    old_token: OldToken = "refuse"  # noqa: S105 (a rule, no secret)
    grace: float = 30 * 60.0
    after_grace: Literal["refuse", "strict"] = "refuse"
    content_type: str = "text/html; charset=UTF-8"
    logout_value: int | bool | str = 1
    cookies_on_update: bool = False
    update_needs_cookie: bool = False
    bind_fingerprint: bool = True
    setrefresh_rotates: bool = True
    setrefresh_failure: Literal["html", "redirect"] = "html"
    setrefresh_fingerprint: Literal["same", "new"] = "same"
    box_needs_setrefresh: bool = False
    lockout_after: int = 5
    lockout: float = 15 * 60.0
    logout_scope: Literal["account", "session"] = "account"
    amhrdrauth_host_only: bool = False
    amhrdrauth_attributes: Literal["plain", "dated"] = "plain"
    cookie_domain: str = ""
    wrong_password: Literal["401", "200"] = "401"  # noqa: S105 (a rule, no secret)
    login_form: bool = False
    login_kills_previous: Literal["nothing", "fingerprint", "account"] = "fingerprint"
    forbid: bool = False

    CHOICES: ClassVar[Mapping[str, tuple[object, ...]]] = {
        "old_token": ("stateless", "refuse", "grace", "strict"),
        "after_grace": ("refuse", "strict"),
        "logout_value": (1, True, "1", 0),
        "setrefresh_failure": ("html", "redirect"),
        "setrefresh_fingerprint": ("same", "new"),
        "logout_scope": ("account", "session"),
        "amhrdrauth_attributes": ("plain", "dated"),
        "wrong_password": ("401", "200"),
        "login_kills_previous": ("nothing", "fingerprint", "account"),
    }

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """
    What goes wrong: probabilities in 0 to 1, of which at most one strikes a request; durations in seconds.

    Attributes:
        reset_before: The connection is reset, nothing was done.
        reset_after: The work is done, then the connection is reset.
        error_500: JSON with status 500; worked first only with *error_works*.
        html_502: The balancer's page with status 502; worked first only with *error_works*.
        truncated: The work is done, half of its answer arrives, the connection closes.
        bad_json: The work is done, half of its answer arrives as if whole.
        empty: The work is done, the answer is a whole 200 without a body.
        rate_limited: 429 with `Retry-After`, nothing was done.
        retry_after: What that header says; 0 = no header.
        hang: No answer for *hang_for* (or until the caller leaves), then a reset; worked first only with *hang_works*.
        spurious_logout: A logout answer, though the session lives; nothing was done.
        maintenance: 200 with a page of HTML, nothing was done.
        error_works: The 5xx answers come after the work.
        latency: Wait before the work, plus up to *jitter*.
        logout_all: Every tokenUpdate, setrefresh and booking answers logout, whatever *paths* says; nothing was done.
        whoami_empty: whoami knows nobody, whatever *paths* says.
        paths: Which paths are hit; `*` = every one.
    """

    reset_before: float = 0.0
    reset_after: float = 0.0
    error_500: float = 0.0
    html_502: float = 0.0
    truncated: float = 0.0
    bad_json: float = 0.0
    empty: float = 0.0
    rate_limited: float = 0.0
    retry_after: float = 1.0
    hang: float = 0.0
    hang_works: bool = False
    hang_for: float = 60.0
    spurious_logout: float = 0.0
    maintenance: float = 0.0
    error_works: bool = False
    latency: float = 0.0
    jitter: float = 0.0
    logout_all: bool = False
    whoami_empty: bool = False
    paths: tuple[str, ...] = ("/api/tokenUpdate",)

    CHOICES: ClassVar[Mapping[str, tuple[object, ...]]] = {}

    def __post_init__(self) -> None:
        _check(self)
        for name in PROBABILITIES:
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must be a probability between 0 and 1, not {getattr(self, name)}")
        total = math.fsum(getattr(self, name) for name in PROBABILITIES)
        if total > 1 + 1e-9:
            raise ValueError(f"at most one fault strikes a request, so their sum must not exceed 1; it is {total:.3g}")

    def odds(self) -> tuple[tuple[float, str], ...]:
        """Each possible fault with the upper end of its share of [0, 1)."""
        found = []
        edge = 0.0
        for name in PROBABILITIES:
            if share := getattr(self, name):
                edge += share
                found.append((edge, name))
        return tuple(found)

    def hits(self, path: str) -> bool:
        return path in self.paths or EVERY_PATH in self.paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """
    What every simulated box offers, each day the same. Durations in seconds; times are the simulator's own, UTC.

    Attributes:
        times: When classes begin, `HH:MM`; each lasts an hour.
        limit: Places in a class.
        opens_before: How long before it begins a class can be booked; 0 = at any time before.
        early_answer: What an earlier try is told: bookState `-4`, or `-12` with `ERROR_ANTELACION_CLIENTE_HORAS`.
        late_within: Cancelling so shortly before the class, or later, needs `late=1`; 0 = never.
        daily_maximum: Bookings of one member at one box a day; 0 = any number.
    """

    times: tuple[str, ...] = ("07:00", "18:00", "19:00")
    limit: int = 12
    opens_before: float = 0.0
    early_answer: Literal["-4", "-12"] = "-4"
    late_within: float = 0.0
    daily_maximum: int = 0

    CHOICES: ClassVar[Mapping[str, tuple[object, ...]]] = {"early_answer": ("-4", "-12")}

    def __post_init__(self) -> None:
        _check(self)
        for time in self.times:
            if not _TIME.fullmatch(time):
                raise ValueError(f"times must be written like 07:00, not {time!r}")


Plan = TypeVar("Plan", Rules, Faults, Timetable)


def build(kind: type[Plan], table: Mapping[str, Any]) -> Plan:
    """
    Make *kind* of a table of TOML or JSON; keys left out take their defaults.

    Raises:
        ValueError: A key is unknown or its value out of range, in one sentence.
    """
    known = [field.name for field in fields(kind)]
    for key in table:
        if key not in known:
            raise ValueError(f"unknown key {key!r}; known are {', '.join(known)}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return kind(**values)


def load(path: str | Path) -> tuple[Rules, Faults]:
    """
    Read `[rules]` and `[faults]` of a TOML file; either may be absent.

    Raises:
        ValueError: It is not TOML, or something in it makes no sense; one sentence that names the file.
        OSError: It can't be read.
    """
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    if stray := sorted(set(tables) - {"rules", "faults"}):
        raise ValueError(f"{path}: unknown key {stray[0]!r}; the file has two tables, [rules] and [faults]")
    return _table(Rules, path, "rules", tables), _table(Faults, path, "faults", tables)


def _table(kind: type[Plan], path: str | Path, name: str, tables: Mapping[str, Any]) -> Plan:
    table = tables.get(name, {})
    if not isinstance(table, dict):
        raise ValueError(f"{path}: {name} must be a table, written [{name}]")  # noqa: TRY004 (one kind of error for the whole file)
    try:
        return build(kind, table)
    except ValueError as error:
        raise ValueError(f"{path}: [{name}] {error}") from error


def _check(plan: Rules | Faults | Timetable) -> None:
    """Each value is of its default's kind (so a default in seconds is a float), no number is negative."""
    for field in fields(plan):
        value = getattr(plan, field.name)
        if choices := plan.CHOICES.get(field.name):
            # `True == 1`: compare kinds too, so that the answer to a wrong value lists exactly what is right.
            if not any(value == choice and type(value) is type(choice) for choice in choices):
                raise ValueError(f"{field.name} must be one of {', '.join(map(repr, choices))}, not {value!r}")
        elif wanted := _wrong_kind(field.default, value):
            raise ValueError(f"{field.name} must be {wanted}, not {value!r}")


def _wrong_kind(default: object, value: object) -> str | None:
    """What *value* should have been, None when it is that."""
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if isinstance(default, str):
        return None if isinstance(value, str) and value.isascii() and value.isprintable() else "a line of text"
    if isinstance(default, tuple):
        is_texts = isinstance(value, tuple) and all(isinstance(part, str) for part in value)
        return None if is_texts else "a list of texts"
    if isinstance(default, int):
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return None if is_count else "a whole number, 0 or more"
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return None if is_number else "a number, 0 or more"
