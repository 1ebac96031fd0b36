"""What a table of sessions looks like that another program made, and whether aimkeeper can live in it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aimkeeper.store import rows

_TEXT = {"text", "character varying", "character"}
_INSTANT = {"timestamp with time zone", "timestamp without time zone"}
_COUNT = {"integer", "bigint", "smallint"}

# Every version of the app has these; without them it is some other table.
NEEDED: Mapping[str, set[str]] = {
    "id": {"uuid"},
    "user_email": _TEXT,
    "aimharder_token": _TEXT,
    "aimharder_cookies": {"jsonb"},
}
# These some have, and aimkeeper goes on writing them.
KNOWN: Mapping[str, set[str]] = {
    "fingerprint": _TEXT,
    "session_type": _TEXT,
    "protected": {"boolean"},
    "created_at": _INSTANT,
    "updated_at": _INSTANT,
    "last_refresh_date": _INSTANT,
    "refresh_count": _COUNT,
    "last_refresh_error": _TEXT,
    "auto_refresh_enabled": {"boolean"},
    "last_token_update_date": _INSTANT,
    "token_update_count": _COUNT,
    "last_token_update_error": _TEXT,
}
# fmt: off
OURS = (
    "ref", "account_key", "sealed", "status", "cause", "generation", "revision", "due_at", "deadline_at",
    "ended_at", "wipe_at", "attempt", "doubt_at", "suspicion", "alive_at", "setrefresh_due", "settled_in",
    "spares", "ring", "owner", "claim_id", "claimed_at", "last_rotation_id", "spent",
)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """
    A table auth_sessions.

    Attributes:
        columns: The type of each.
        may_change: Whether our role owns it.
        hides_rows: Whether row level security is on.
        one_per_email, one_per_pair: Whether it has room for one session of an account, or of an account's device.
    """

    columns: Mapping[str, str]
    is_table: bool
    may_change: bool
    hides_rows: bool
    id_is_unique: bool
    one_per_email: bool
    one_per_pair: bool

    @classmethod
    def read(cls, columns: Sequence[rows.Row], table: rows.Row) -> "Shape":
        """From what `foreign_columns` and `foreign_table` bring."""
        is_table, may_change, hides_rows, id_is_unique, one_per_email, one_per_pair = table
        return cls(
            columns={str(name): str(kind) for name, kind, _ in columns},
            is_table=is_table,
            may_change=may_change,
            hides_rows=hides_rows,
            id_is_unique=id_is_unique,
            one_per_email=one_per_email,
            one_per_pair=one_per_pair,
        )

    @property
    def added(self) -> list[str]:
        """The columns that adoption adds."""
        return [name for name in (*KNOWN, *OURS) if name not in self.columns]

    def obstacle(self) -> str | None:
        """Why aimkeeper can't live in it; None when it can."""
        if not self.is_table:
            return "public.auth_sessions is no plain table"
        if not self.may_change:
            return "another role owns the table auth_sessions: connect as that one"
        if not self.id_is_unique and "id" in self.columns:
            return "nothing makes the ids in auth_sessions unique: give the table its primary key back"
        return next(self._odd_columns(), None)

    def _odd_columns(self) -> Iterator[str]:
        for name in NEEDED:
            if name not in self.columns:
                yield f"the table auth_sessions has no column {name}: it is not that of an AimHarder app"
        for name, kinds in {**NEEDED, **KNOWN}.items():
            if self.columns.get(name, min(kinds)) not in kinds:
                fit = " or ".join(sorted(kinds))
                yield f"the column {name} of auth_sessions is of type {self.columns[name]}: {fit} would do"
        for name in OURS:
            if name in self.columns:
                yield f"the table auth_sessions has a column {name} of its own, which aimkeeper needs: rename it"


@dataclass(frozen=True, slots=True)
class Census:
    """
    How many rows there are, and of which kind.

    Attributes:
        without_fingerprint: They take `AIMHARDER_FINGERPRINT`.
        stale: Gave no sign of life for as long as the upstream keeps a session.
        protected: Must never be deleted, says the app.
        doubled: Have the e-mail and the fingerprint of another row.
    """

    sessions: int
    without_fingerprint: int
    stale: int
    protected: int
    doubled: int

    @classmethod
    def read(cls, row: Sequence[Any]) -> "Census":
        return cls(*row)
