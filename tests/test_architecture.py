"""The rules of the house that import-linter cannot see."""

import ast
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import aimkeeper
from aimkeeper.cli.main import EXIT_STATUS
from aimkeeper.core import errors
from aimkeeper.web.errors import STATUS

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "aimkeeper"
LONGEST_FILE = 400
WRITTEN_BY_HAND = {".py", ".sql", ".js", ".css", ".html"}
FOLDERS = ("src", "tests", "prove", "bench", "tools")

# What asks the machine for the time of day; everybody else is handed a clock.
TIME_OF_DAY = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
TIME_OF_DAY |= {("time", "time"), ("time", "time_ns"), ("time", "localtime"), ("time", "gmtime")}

SQL = re.compile(
    r"\b(SELECT\b.*\bFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|(CREATE|ALTER|DROP)\s+(TABLE|INDEX|TRIGGER|VIEW))\b",
    re.DOTALL,
)
# `queries.py` loads the statements and knows the columns they share; SQLite is asked about itself where it is opened.
SQL_ROOMS = {"store/queries.py"}
ABOUT_SQLITE_ITSELF = "SELECT 1 FROM sqlite_master LIMIT 1"

UPSTREAM = re.compile(
    r"/api/(tokenUpdate|whoami|login|bookings)\b|/setrefresh\b|^/logout\b|\b(newToken|refreshToken|ciclo|authOK|iniframe"
    r"|loginfingerprint|loginiframe|userData|generarHuella)\b"
)
UPSTREAM_ROOMS = ("upstream/protocol.py", "simulator/")
# The public route bears the upstream's own path and field, so that clients of the one can talk to the other.
PUBLIC_ROUTE = {"web/token_update.py": {"/api/tokenUpdate", "newToken"}}

SETTINGS_READERS = re.compile(r"(service|serving|demo|__init__|settings)\.py|(cli|client|doctor)/\w+\.py")
WRITES = {"put", "commit", "end", "forget", "revive", "wipe", "prune", "claim_due", "claim_one", "free", "record"}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "service_impl", "misc"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def modules() -> list[str]:
    return sorted(str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py"))


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text that the program uses, docstrings left out, with its line."""
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def error_classes() -> list[type[errors.AimkeeperError]]:
    found = [
        kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, errors.AimkeeperError)
    ]
    assert len(found) > 10
    return found


# ---------------------------------------------------------------- time, SQL, the upstream's words


def test_only_the_clock_asks_the_machine_for_the_time_of_day():
    asked = [
        f"{name}:{node.lineno}"
        for name in modules()
        for node in ast.walk(tree(SOURCE / name))
        if name != "clock.py" and (_asks_the_time(node) or _imports_the_time(node))
    ]

    assert asked == []


def _asks_the_time(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in TIME_OF_DAY
    )


def _imports_the_time(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "time" and any(a.name == "time" for a in node.names)


def test_sql_stands_in_the_store_s_sql_files_only():
    found = [
        f"{name}:{line}"
        for name in modules()
        if name not in SQL_ROOMS
        for line, text in texts(SOURCE / name)
        if SQL.search(text.replace(ABOUT_SQLITE_ITSELF, ""))
    ]

    assert found == []


def test_the_upstream_s_paths_and_fields_are_known_to_its_protocol_the_simulator_and_the_public_route_only():
    found = [
        f"{name}:{line} {match[0]}"
        for name in modules()
        if not name.startswith(UPSTREAM_ROOMS)
        for line, text in texts(SOURCE / name)
        if (match := UPSTREAM.search(text)) and match[0] not in PUBLIC_ROUTE.get(name, ())
    ]

    assert found == []


def test_the_searches_find_what_they_look_for():
    assert SQL.search("SELECT id\n  FROM auth_sessions")
    assert UPSTREAM.search('{"newToken": 1}')
    assert any(SQL.search(text) for _, text in texts(SOURCE / "store" / "queries.py"))
    assert any(UPSTREAM.search(text) for _, text in texts(SOURCE / "upstream" / "protocol.py"))
    assert any(map(_asks_the_time, ast.walk(tree(SOURCE / "clock.py"))))


# ---------------------------------------------------------------- who may do what


def test_settings_are_read_where_things_are_put_together_and_nowhere_else():
    readers = {
        name
        for name in modules()
        for node in ast.walk(tree(SOURCE / name))
        if isinstance(node, ast.ImportFrom) and node.module == "aimkeeper.settings"
    }

    assert "service.py" in readers
    assert [name for name in readers if not SETTINGS_READERS.fullmatch(name)] == []


def test_neither_web_nor_command_line_writes_a_session_the_engine_does():
    written = [
        f"{name}:{node.lineno} {node.func.attr}"
        for name in modules()
        if name.startswith(("web/", "cli/"))
        for node in ast.walk(tree(SOURCE / name))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in WRITES
        and isinstance(node.func.value, ast.Attribute)
        and node.func.value.attr == "store"
    ]

    assert written == []


# ---------------------------------------------------------------- files and names


def by_hand() -> dict[str, str]:
    """Every file of ours, and its text."""
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in WRITTEN_BY_HAND and path.is_file()
    }


def test_no_file_is_longer_than_four_hundred_lines():
    lengths = {name: len(text.splitlines()) for name, text in by_hand().items()}

    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_module_is_named_after_nothing():
    assert [name for name in modules() if VAGUE_NAMES & set(Path(name).with_suffix("").parts)] == []


def test_no_text_holds_an_em_dash():
    assert [name for name, text in by_hand().items() if "\N{EM DASH}" in text] == []


@pytest.mark.parametrize("name", aimkeeper.__all__)
def test_every_public_name_can_be_had(name):
    assert getattr(aimkeeper, name) is not None


def test_another_name_is_refused_as_any_module_would():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        aimkeeper.nothing  # noqa: B018 (asking is the test)


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("table", [EXIT_STATUS, STATUS], ids=["exit status", "HTTP status"])
@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_of_its_own_or_of_its_family(kind, table):
    nearest = next(ancestor for ancestor in kind.__mro__ if ancestor in table)

    assert nearest is not errors.AimkeeperError or kind is errors.AimkeeperError


def test_exit_statuses_are_those_of_the_manual_and_http_statuses_are_errors():
    assert set(EXIT_STATUS.values()) <= {1, 2, 3, 4, 5, 6}
    assert all(400 <= status < 600 for status in STATUS.values())


def test_every_error_has_a_code_of_its_own_that_programs_can_rely_on():
    codes = [kind.code for kind in error_classes()]

    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_every_error_is_drawn_in_the_tree_at_the_top_of_its_file():
    drawn = set(re.findall(r"[*x] (\w+)", errors.__doc__ or ""))

    assert drawn == {kind.__name__ for kind in error_classes()}
