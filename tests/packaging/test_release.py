"""A release is of one version everywhere, and what is built of it is whole and runs where nothing else is installed."""

import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from urllib.request import urlopen

import pytest

from tools import release

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def source(tmp_path):
    """As much of the source as is checked."""
    for name in ("CHANGELOG.md", "browser/package.json", "browser/package-lock.json", "src/aimkeeper/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


# ------------------------------------------------------------ one version


def test_this_source_is_of_one_version():
    assert release.check(ROOT) == []


def test_a_tag_is_that_of_the_version_and_leaves_nothing_unreleased(source):
    version = release.version_of(source)
    log = (source / "CHANGELOG.md").read_text()
    head, _, tail = log.partition("## [Unreleased]")
    (source / "CHANGELOG.md").write_text(f"{head}## [Unreleased]\n\n{tail[tail.index(f'## [{version}]') :]}")

    assert release.check(source, f"v{version}") == []
    assert release.check(source, "v9.9.9") == [f"the tag v9.9.9 is not v{version}."]


def test_a_release_with_changes_that_are_told_as_unreleased_is_none(source):
    version = release.version_of(source)
    change(source / "CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n### Fixed\n\n- Something.\n")

    [problem] = release.check(source, f"v{version}")

    assert problem == f"something stands under Unreleased: it belongs to {version}, or to no release."


@pytest.mark.parametrize("name", ["package.json", "package-lock.json"])
def test_the_browser_package_has_the_same_version(source, name):
    version = release.version_of(source)
    change(source / "browser" / name, f'"version": "{version}"', '"version": "0.0.9"')

    assert release.check(source) == [f"browser/{name} says 0.0.9, aimkeeper says {version}."]


@pytest.mark.parametrize("heading", ["## [{}]", "## [9.9.9] - 2026-01-01"], ids=["not dated", "of another version"])
def test_the_changelog_tells_the_version_with_its_date(source, heading):
    version = release.version_of(source)
    log = (source / "CHANGELOG.md").read_text()
    found = re.search(rf"^## \[{re.escape(version)}\] - .+$", log, re.MULTILINE)[0]
    change(source / "CHANGELOG.md", found, heading.format(version))

    assert release.check(source) == [f"the changelog's newest release is not {version} with its date."]


# ------------------------------------------------------------ what is built


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist, and the wheel that is built of it."""
    return release.build(ROOT, tmp_path_factory.mktemp("dist"))


def tracked():
    """Every file of the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only the repository knows what belongs to it")
def test_the_sdist_holds_everything_that_is_in_the_repository(built):
    with tarfile.open(built[0]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}

    missing = {name for name in tracked() if name not in held and not (ROOT / name).is_dir()}

    assert missing == set()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only the repository knows what it leaves out")
@pytest.mark.parametrize(
    "name", [".env", "aimkeeper.toml", "data/secret.key", "operator.key", "aimkeeper.db", "aimkeeper.db-spool/a.spool"]
)
def test_what_somebody_has_who_runs_it_from_here_is_never_released(name):
    ignored = subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False)

    assert ignored.returncode == 0


@pytest.mark.slow
def test_the_wheel_built_of_the_sdist_holds_the_whole_package_and_nothing_else(built):
    package = ROOT / "src"
    files = {
        str(path.relative_to(package))
        for top in (package, package / "aimkeeper/web/static/lib")
        for path in top.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(built[1]) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert "aimkeeper/web/static/lib/loop.js" in held
    assert held == files


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_installed_where_nothing_else_is_it_serves_pages_scripts_and_a_database_of_its_own(built, tmp_path):
    place = tmp_path / "environment"
    venv.create(place, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python"), "install", "-qq", "--no-compile"]
    pip += ["--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, "--no-index", str(built[1])], check=True)
    script, environment = str(place / "bin/aimkeeper"), {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    version = subprocess.check_output([script, "--version"], cwd=tmp_path, env=environment, text=True)
    server = subprocess.Popen(
        [script, "serve", "--port", "0"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        told = ""
        while not (found := re.search(r"Open the page: (http://[^/]+)(/\S+)", told)):
            line = server.stderr.readline()
            assert line, told
            told += line
        got = {
            path: urlopen(found[1] + path).read().decode()
            for path in (
                "/static/auto-token-refresh.js",
                "/static/lib/loop.js",
                "/static/page.css",
                found[2],
                "/readyz",
            )
        }
    finally:
        server.terminate()
        server.communicate(timeout=30)

    assert version == f"aimkeeper {release.version_of(ROOT)}\n"
    assert got["/static/auto-token-refresh.js"] == (ROOT / "browser/auto-token-refresh.js").read_text()
    assert got["/static/lib/loop.js"] == (ROOT / "browser/lib/loop.js").read_text()
    assert all(got.values())
    assert server.returncode == 0
