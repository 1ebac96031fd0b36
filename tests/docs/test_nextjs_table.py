"""The table of the original feature, line by line: no cell is empty, and what it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/coming-from-the-nextjs-app.md"
HEAD = ["Theirs", "Ours", "Why it differs", "Shown by"]
NAMED = re.compile(r"`(tests/[\w/.]+\.(?:py|js)::[^`]+)`")
PLANNED = re.compile(r"planned: `(?:src|tests|browser|\.github)/[\w/.-]+`")

# What the original feature consisted of, by the words the table must know it by.
LINES = {
    "routes": ["/api/tokenUpdate", "?action=stats", "?action=bulk-update", "/api/auth/refresh", "/api/auth/aimharder",
               "/api/booking", "DELETE `{email}`", "minutesRemaining", "remainingAttempts", "sessionValid"],
    "services": ["updateToken(", "updateTokenForAllActiveSessions", "AimharderRefreshService", "AimharderAuthService",
                 ".refreshSession(email)", "CookieService", "storeSession", ".getSession`", ".deleteSession",
                 ".updateSession", ".updateRefreshToken", ".updateCookies", ".needsRefresh", ".getAllActiveSessions",
                 ".getSessionsNeedingTokenUpdate", ".updateTokenAndCookies", ".updateTokenUpdateData",
                 ".updateRefreshData", ".getTokenUpdateStats", ".getSessionStats", ".cleanupExpiredSessions"],
    "columns": ["id", "user_email", "aimharder_token", "aimharder_cookies", "created_at", "updated_at",
                "last_refresh_date", "refresh_count", "last_refresh_error", "auto_refresh_enabled",
                "last_token_update_date", "token_update_count", "last_token_update_error", "fingerprint", "is_admin",
                "session_type", "protected"],
    "functions": ["cleanup_expired_sessions", "get_sessions_needing_refresh", "record_successful_refresh",
                  "record_failed_refresh", "get_refresh_stats", "cleanup_old_refresh_errors"],
    "workflow": ["Token Refresh Automation", "npm ci", "Execute", "Statistics", "Notify", "Summary", "Discord"],
    "hook": ["intervalMinutes", "enabled", "onRefreshSuccess", "onRefreshError", "onLogoutRequired", "startAutoRefresh",
             "stopAutoRefresh", "manualRefresh", "isRefreshing", "lastRefreshTime", "nextRefreshTime", "refreshCount",
             "lastError", "debugMode", "user-email", "AutoTokenRefresh"],
    "variables": ["NEXT_PUBLIC_TOKEN_REFRESH_INTERVAL_MINUTES", "TOKEN_REFRESH_THRESHOLD_MINUTES",
                  "TOKEN_BULK_UPDATE_INTERVAL_MINUTES", "AIMHARDER_FINGERPRINT", "NEXT_PUBLIC_AIMHARDER_FINGERPRINT",
                  "TOKEN_REFRESH_DEBUG", "APP_URL", "DISCORD_WEBHOOK_URL", "AIMHARDER_LOGIN_URL",
                  "NEXT_PUBLIC_SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_ANON_KEY", "SUPABASE_SERVICE_ROLE_KEY"],
}  # fmt: skip


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))]


def rows(text: str) -> list[list[str]]:
    """The rows of every table of four columns, heads and rules left out."""
    found = [cells(line) for line in text.splitlines() if line.startswith("|")]
    return [row for row in found if row != HEAD and not set("".join(row)) <= {"-"}]


@pytest.fixture(scope="module")
def table() -> list[list[str]]:
    return rows((ROOT / PAGE).read_text("utf-8"))


@cache
def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def exists(named: str) -> bool:
    """Whether the test is there: by name in Python, by its title or the beginning of it in JavaScript."""
    place, _, name = named.partition("::")
    path = ROOT / place
    if not path.is_file():
        return False
    if path.suffix == ".py":
        return name in functions_in(path)
    return bool(re.search(rf"\btest\([\"'`]{re.escape(name)}", path.read_text("utf-8")))


def is_shown(cell: str) -> bool:
    return bool(NAMED.search(cell) or PLANNED.search(cell))


def test_every_row_has_four_cells_and_none_is_empty(table):
    assert len(table) > 100
    assert [row for row in table if len(row) != len(HEAD) or not all(row)] == []


def test_every_row_names_a_test_or_says_where_it_is_planned(table):
    assert [row for row in table if not is_shown(row[3])] == []


def test_every_test_that_is_named_exists(table):
    named = {name for row in table for name in NAMED.findall(row[3])}

    assert len(named) > 50
    assert sorted(name for name in named if not exists(name)) == []


def test_what_exists_already_is_not_called_planned(table):
    planned = {path for row in table for path in re.findall(r"planned: `([^`]+)`", row[3])}

    assert sorted(path for path in planned if (ROOT / path).exists()) == []


def test_no_difference_is_said_only_where_ours_is_the_same(table):
    assert [row for row in table if row[2] == "no difference" and not row[1].startswith("the same")] == []


@pytest.mark.parametrize("part", LINES)
def test_every_line_of_the_original_feature_has_its_row(table, pages, part):
    headings = re.findall(r"^#+ .*$", pages[PAGE], re.MULTILINE)
    theirs = "\n".join([*headings, *(row[0] for row in table)])

    assert [word for word in LINES[part] if word not in theirs] == []


def test_the_page_says_where_things_stand_and_what_is_done_on_the_day(pages):
    assert "rewrites()" in pages[PAGE]
    assert "AIMKEEPER_TRUSTED_PROXIES" in pages[PAGE]
    assert "POST /api/auth/claim" in pages[PAGE]


def test_a_row_that_lacks_something_is_noticed():
    text = "| Theirs | Ours | Why it differs | Shown by |\n|---|---|---|---|\n| a | b |  | `tests/none.py::test_x` |\n"

    [row] = rows(text)
    assert not all(row)
    assert NAMED.findall(row[3]) == ["tests/none.py::test_x"]
    assert not exists("tests/none.py::test_x")
    assert not exists("tests/docs/test_nextjs_table.py::test_that_nobody_wrote")
    assert exists("tests/docs/test_nextjs_table.py::test_a_row_that_lacks_something_is_noticed")
