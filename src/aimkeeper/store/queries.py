"""Loads the named statements of `sql/*.sql`."""

import re
from functools import lru_cache
from importlib import resources

# The columns of a session, in the order `rows.session_from` reads them.
SESSION_COLUMNS = (
    "id, user_email, fingerprint, session_type, ref, created_at, last_token_update_date, token_update_count, "
    "last_token_update_error, last_refresh_date, refresh_count, last_refresh_error, sealed, status, cause, generation, "
    "revision, due_at, deadline_at, ended_at, wipe_at, attempt, doubt_at, suspicion, alive_at, setrefresh_due, "
    "settled_in, spares, ring, owner"
)

# What a commit writes, from the parameters `rows.commit_params` makes.
COMMIT_COLUMNS = """
  sealed = COALESCE(:sealed, sealed), revision = revision + 1, generation = :generation,
  status = :status, cause = :cause,
  fingerprint = CASE WHEN :fingerprint <> fingerprint AND EXISTS (
      SELECT 1 FROM auth_sessions AS other
       WHERE other.user_email = auth_sessions.user_email AND other.fingerprint = :fingerprint)
    THEN fingerprint ELSE :fingerprint END,
  updated_at = :now, last_token_update_date = :rotated_at, token_update_count = :rotations,
  last_token_update_error = :last_error, last_refresh_date = :setrefresh_at, refresh_count = :setrefresh_count,
  last_refresh_error = :setrefresh_error, account_key = :account_key, due_at = :due_at, deadline_at = :deadline_at,
  ended_at = :ended_at, wipe_at = :wipe_at, attempt = :attempt, doubt_at = :doubt_at, suspicion = :suspicion,
  alive_at = :alive_at, setrefresh_due = :setrefresh_due, settled_in = :settled_in, ring = :ring,
  owner = CASE WHEN owner = :claim_owner AND :release THEN NULL ELSE owner END"""

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^--.*$", re.MULTILINE)


@lru_cache
def load(dialect: str) -> dict[str, str]:
    """Statement texts by name, for `sqlite` or `postgres`."""
    text = resources.files("aimkeeper.store").joinpath("sql", f"{dialect}.sql").read_text("utf-8")
    parts = _NAME.split(text)
    statements = {}
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        statement = _COMMENT.sub("", body).strip().rstrip(";")
        statements[name] = statement.replace("{session}", SESSION_COLUMNS).replace("{write}", COMMIT_COLUMNS)
    return statements


@lru_cache
def migrations(dialect: str) -> list[tuple[int, str, str]]:
    """(number, file name, text) of every migration, in order."""
    folder = resources.files("aimkeeper.store").joinpath("migrations", dialect)
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return [(int(file.name[:4]), file.name, file.read_text("utf-8")) for file in files if file.name.endswith(".sql")]
