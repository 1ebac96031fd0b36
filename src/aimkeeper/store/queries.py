"""Loads the named statements of `sql/*.sql`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

# The columns of a session, in the order `rows.session_from` reads them.
SESSION_COLUMNS = (
    "id, user_email, fingerprint, session_type, ref, created_at, last_token_update_date, token_update_count, "
    "last_token_update_error, last_refresh_date, refresh_count, last_refresh_error, sealed, status, cause, generation, "
    "revision, due_at, deadline_at, ended_at, wipe_at, attempt, doubt_at, suspicion, alive_at, setrefresh_due, "
    "settled_in, spares, ring, owner, {plain}"
)

# What a commit writes, from the parameters `rows.commit_params` makes.
COMMIT_COLUMNS = """{write_plain}
  sealed = COALESCE(:sealed, sealed), revision = revision + 1, generation = :generation,
  status = :status, cause = :cause,
  fingerprint = CASE WHEN :fingerprint <> fingerprint AND EXISTS (
      SELECT 1 FROM {sessions} AS other
       WHERE other.user_email = auth_sessions.user_email AND other.fingerprint = :fingerprint)
    THEN fingerprint ELSE :fingerprint END,
  updated_at = :now, last_token_update_date = :rotated_at, token_update_count = :rotations,
  last_token_update_error = :last_error, last_refresh_date = :setrefresh_at, refresh_count = :setrefresh_count,
  last_refresh_error = :setrefresh_error, account_key = :account_key, due_at = :due_at, deadline_at = :deadline_at,
  ended_at = :ended_at, wipe_at = :wipe_at, attempt = :attempt, doubt_at = :doubt_at, suspicion = :suspicion,
  alive_at = :alive_at, setrefresh_due = :setrefresh_due, settled_in = :settled_in, ring = :ring,
  owner = CASE WHEN owner = :claim_owner AND :release THEN NULL ELSE owner END"""

# What a commit writes when all is well and nothing else has changed: no column that an index for rare things is over.
ROUTINE_COLUMNS = """{write_plain}
  sealed = :sealed, revision = revision + 1, generation = :generation, updated_at = :now,
  last_token_update_date = :rotated_at, token_update_count = :rotations, due_at = :due_at, deadline_at = :deadline_at,
  ring = :ring, owner = NULL, last_rotation_id = :claim_id"""

# Where the sessions stand: in PostgreSQL every table is named with its schema, so that no search_path matters.
_SESSIONS = {"sqlite": "auth_sessions", "postgres": "public.auth_sessions"}

# What differs where the table was not made here (`foreign.py`): the token may stand readable, in the columns of the app
# that made it; e-mails are written as people typed them; and some rows are protected.
_MADE_HERE = {
    "{write_plain}": "",
    "{plain_type}": "",
    "{plain_columns}": "",
    "{plain_values}": "",
    "{no_plain}": "",
    "{session_type}": ":session_type",
    "{same_email}": "user_email = :email",
    "{unprotected}": "",
}
_PLAIN = {
    "sqlite": {"{plain}": "NULL", "{protected}": "0"},
    "postgres": {"{plain}": "NULL::text", "{protected}": "false"},
}
_ADOPTED = {
    "{plain}": """CASE WHEN aimharder_token <> '' THEN jsonb_build_object('token', aimharder_token, 'cookies',
  aimharder_cookies, 'host', (SELECT value::jsonb -> 'host' FROM aimkeeper.meta WHERE key = 'adopted'))::text END""",
    "{write_plain}": """
  aimharder_token = COALESCE(:plain::jsonb ->> 'token', aimharder_token),
  aimharder_cookies = COALESCE(:plain::jsonb -> 'cookies', aimharder_cookies),""",
    "{plain_type}": ", plain text",
    "{plain_columns}": ", aimharder_token, aimharder_cookies",
    "{plain_values}": ", :plain::jsonb ->> 'token', :plain::jsonb -> 'cookies'",
    "{no_plain}": "aimharder_token = '', aimharder_cookies = '[]',",
    # Later versions of the app want one, and know two.
    "{session_type}": "COALESCE(:session_type, 'device')",
    "{same_email}": "lower(user_email) = :email",
    "{unprotected}": "AND NOT COALESCE(protected, false)",
    "{protected}": "COALESCE(protected, false)",
}

# When a row last gave a sign that its session lives; the app stamps failures too. `shown` is the row as JSON, for it is
# not known which columns there are.
_SEEN = """LEAST(:now::timestamptz, COALESCE(GREATEST((shown ->> 'created_at')::timestamptz,
    CASE WHEN shown ->> 'last_refresh_error' IS NULL THEN (shown ->> 'last_refresh_date')::timestamptz END,
    CASE WHEN shown ->> 'last_token_update_error' IS NULL THEN (shown ->> 'last_token_update_date')::timestamptz END,
    CASE WHEN shown ->> 'last_refresh_error' IS NULL AND shown ->> 'last_token_update_error' IS NULL
      THEN (shown ->> 'updated_at')::timestamptz END), 'epoch'))"""

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^--.*$", re.MULTILINE)
_ONCE = re.compile(r"^-- once: (.+)$", re.MULTILINE)
_MANY = re.compile(r"^-- many: (.+)$", re.MULTILINE)
_PARAMETER = re.compile(r"(?<!:):(\w+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """
    A statement with its parameters by number: PostgreSQL knows no others, and SQLite finds them quicker.

    Attributes:
        names: Of the parameters, in their order.
        many: Whether it takes many sets of parameters at once: each parameter is then the list of its values, and each
            row that comes back begins with the number of its set, from 1.
        once: Of the parameters that come once beside them, in their order.
    """

    text: str
    names: tuple[str, ...]
    many: bool
    once: tuple[str, ...] = ()

    def values(self, params: Mapping[str, Any]) -> list[Any]:
        """What the statement wants of *params*, in its order."""
        return [params[name] for name in self.names]


@lru_cache
def load(dialect: str) -> dict[str, str]:
    """Statement texts by name, for `sqlite` or `postgres`."""
    return {name: _COMMENT.sub("", body).strip().rstrip(";") for name, body in _named(dialect)}


@lru_cache
def numbered(dialect: str = "postgres", *, adopted: bool = False) -> dict[str, Statement]:
    """
    The statements by name.

    Args:
        dialect: `sqlite` or `postgres`.
        adopted: For a table of sessions that was not made here.
    """
    named, mark = _named(dialect, adopted=adopted), {"sqlite": "?", "postgres": "$"}[dialect]
    return {name: _for_many(body) if _MANY.search(body) else _for_one(body, mark) for name, body in named}


@lru_cache
def script(name: str) -> str:
    """Many statements, to be run as one: `sql/foreign/NAME.sql`."""
    return resources.files("aimkeeper.store").joinpath("sql", "foreign", f"{name}.sql").read_text("utf-8")


@lru_cache
def migrations(dialect: str) -> list[tuple[int, str, str]]:
    """(number, file name, text) of every migration, in order."""
    folder = resources.files("aimkeeper.store").joinpath("migrations", dialect)
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return [(int(file.name[:4]), file.name, file.read_text("utf-8")) for file in files if file.name.endswith(".sql")]


def _named(dialect: str, *, adopted: bool = False) -> list[tuple[str, str]]:
    named = []
    for file in resources.files("aimkeeper.store").joinpath("sql").iterdir():
        if file.name.removesuffix(".sql").partition("_")[0] == dialect:
            parts = _NAME.split(file.read_text("utf-8"))
            named += list(zip(parts[1::2], parts[2::2], strict=True))
    shared = {"{session}": SESSION_COLUMNS, "{write}": COMMIT_COLUMNS, "{routine}": ROUTINE_COLUMNS}
    shared |= {"{sessions}": _SESSIONS[dialect], "{seen}": _SEEN}
    shared |= _ADOPTED if adopted else _MADE_HERE | _PLAIN[dialect]
    return [(name, _filled(body, shared)) for name, body in named]


def _filled(body: str, shared: dict[str, str]) -> str:
    for mark, text in shared.items():
        body = body.replace(mark, text)
    return body


def _for_one(body: str, mark: str) -> Statement:
    text = _COMMENT.sub("", body).strip().rstrip(";")
    names = tuple(dict.fromkeys(_PARAMETER.findall(text)))
    return Statement(_PARAMETER.sub(lambda found: f"{mark}{names.index(found[1]) + 1}", text), names, many=False)


def _for_many(body: str) -> Statement:
    """`{given}` becomes a table of all sets of parameters, and each parameter a column of it."""
    typed, once = _typed(_MANY, body), _typed(_ONCE, body)
    arrays = ", ".join(f"${number}::{kind}[]" for number, (_, kind) in enumerate(typed, start=1))
    # "given_": a column of the table that is written may have the same name.
    columns = ", ".join(f"given_{name}" for name, _ in typed)
    table = f"unnest({arrays}) WITH ORDINALITY AS given ({columns}, n)"
    text = _COMMENT.sub("", body).strip().rstrip(";")
    for number, (name, kind) in enumerate(once, start=len(typed) + 1):
        text = re.sub(rf"(?<!:):{name}\b", f"${number}::{kind}", text)
    text = _PARAMETER.sub(r"given_\1", text)
    lists = {f"{{{name}[]}}": f"${number}::{kind}[]" for number, (name, kind) in enumerate(typed, start=1)}
    names, alone = (tuple(name for name, _ in params) for params in (typed, once))
    return Statement(_filled(text, {"{given}": table, **lists}), names, many=True, once=alone)


def _typed(mark: re.Pattern[str], body: str) -> list[tuple[str, str]]:
    """Names and types of the parameters that the comments of *mark* name."""
    items = [item.split() for line in mark.findall(body) for item in line.split(",") if item.strip()]
    return [(name, kind) for name, kind in items]
