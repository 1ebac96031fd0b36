"""The bots of examples/, before and after, each run as its author would; and the page that shows them."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PAGE = "docs/use-from-your-bot.md"
PATIENCE = 60
EMAIL = "you@example.com"
DAY, CLASS = "20990101", 2099010102

KINDS = ("httpx", "requests", "curl", "fetch", "playwright")
RUN_BY = {".py": sys.executable, ".sh": "sh", ".mjs": "node"}
NEEDS = {"curl": "curl", "fetch": "node", "playwright": "chromium"}
# The addresses that a reader puts his own in place of.
STAND_FOR = re.compile(r"https://(yourbox|login)\.aimharder\.com")


def file_of(when: str, kind: str) -> Path:
    [found] = EXAMPLES.glob(f"{when}_{kind}.*")
    return found


def missing(kind: str) -> str:
    """What this machine lacks for bots of that kind; empty when nothing. In CI all is there, or it is a failure."""
    if os.environ.get("CI"):
        return ""
    program = NEEDS.get(kind)
    if program and shutil.which(program) is None:
        return program
    if kind in ("playwright", "requests") and importlib.util.find_spec(kind) is None:
        return kind
    return ""


class Author:
    """Somebody with a bot, in a folder of his own."""

    def __init__(self, site, home: Path) -> None:
        self.site = site
        self.home = home
        kept = {name: os.environ[name] for name in ("PYTHONPATH", "LANG", "LC_ALL") if name in os.environ}
        self.environment = kept | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(home),
            "AIMHARDER_URL": site.url,
            "AIMHARDER_LOGIN_URL": site.url,
            "CHROMIUM": shutil.which("chromium") or "",
        }

    def run(self, *command: str, stdin: str = "", **variables: str) -> str:
        done = subprocess.run(
            command, cwd=self.home, env=self.environment | variables, input=stdin, capture_output=True, text=True,
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def log_in(self) -> None:
        self.run("aimkeeper", "login", EMAIL, "--password-stdin", "--remember", stdin=f"{self.site.PASSWORD}\n")

    def run_bot(self, when: str, kind: str) -> str:
        source = file_of(when, kind)
        copy = self.home / source.name
        copy.write_text(STAND_FOR.sub(self.site.url, source.read_text("utf-8")), "utf-8")
        command = [RUN_BY[source.suffix], str(copy), DAY]
        if when == "before":
            return self.run(*command, PASSWORD=self.site.PASSWORD)
        if "AIMKEEPER_CREDENTIALS_URL" in source.read_text("utf-8"):
            command = ["aimkeeper", "exec", EMAIL, "--", *command]
        return self.run(*command)

    def kill(self) -> None:
        """AimHarder ends every session of his."""
        self.site.end_sessions_of(EMAIL)


@pytest.fixture
def author(site, tmp_path):
    return Author(site, tmp_path)


@pytest.fixture
def site():
    from .conftest import Site  # noqa: PLC0415 (the fixture of that name serves a whole module)

    with Site() as served:
        yield served


def bots(*whens: str):
    return pytest.mark.parametrize(
        ("when", "kind"),
        [
            pytest.param(
                when, kind, marks=pytest.mark.skipif(bool(missing(kind)), reason=f"this needs {missing(kind)}")
            )
            for kind in KINDS
            for when in whens
        ],
    )


def really_booked(site):
    return [(one.email, one.slot) for one in site.sim.reservations() if not one.cancelled_at]


@pytest.mark.slow
@bots("before", "after")
def test_each_bot_books_its_class(author, site, when, kind):
    if when == "after":
        author.log_in()

    told = author.run_bot(when, kind)

    assert told == "booked\n"
    assert really_booked(site) == [(EMAIL, CLASS)]


@pytest.mark.slow
@bots("after")
def test_a_bot_on_a_kept_session_books_its_class_though_the_session_was_ended_meanwhile(author, site, when, kind):
    author.log_in()
    # Whose cookies were recognised once is believed to be dead at once when they no longer are.
    author.run("aimkeeper", "check", EMAIL)
    author.kill()

    told = author.run_bot(when, kind)

    assert told == "booked\n"
    assert really_booked(site) == [(EMAIL, CLASS)]


@pytest.mark.slow
@bots("after")
def test_a_bot_on_a_kept_session_says_why_a_class_can_t_be_had(author, site, when, kind):
    author.log_in()
    site.sim.set_standing(EMAIL, owes=True)

    told = author.run_bot(when, kind)

    assert "-5" in told
    assert really_booked(site) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_bot_on_a_kept_session_knows_no_password_and_no_login(kind):
    before, after = (file_of(when, kind).read_text("utf-8") for when in ("before", "after"))

    assert "PASSWORD" in before
    assert not re.search(r"password|login", after, re.IGNORECASE)


def test_every_bot_is_of_a_kind_that_is_run():
    assert {path.stem for path in EXAMPLES.iterdir() if path.is_file()} == {
        f"{when}_{kind}" for kind in KINDS for when in ("before", "after")
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_page_shows_every_bot_as_it_is_run(pages, when, kind):
    blocks = re.findall(r"^```\w+\n(.*?)^```$", pages[PAGE], re.DOTALL | re.MULTILINE)

    assert file_of(when, kind).read_text("utf-8") in blocks
