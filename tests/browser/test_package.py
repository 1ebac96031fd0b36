"""The package: its pure parts, its types, what it holds, and that Next builds with it."""

import json
import os
import re
import subprocess
import tarfile

import pytest
from site_of_pages import HERE, ROOT

BROWSER = ROOT / "browser"
TOOL = str(ROOT / "tools/browser.sh")


def run(*command, seconds=120, **variables):
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in (HERE / "unit").glob("*.test.js")))
def test_the_parts_do_what_their_own_tests_say(name):
    told = run("node", "--test", "--test-reporter=tap", str(HERE / "unit" / name))

    assert int(re.search(r"^# pass (\d+)$", told, re.MULTILINE)[1]) >= 5
    assert "# fail 0\n" in told


@pytest.mark.slow
def test_the_types_hold_and_the_package_holds_what_it_exports(tmp_path):
    packed = BROWSER / "dist" / run(TOOL, "pack").strip()
    with tarfile.open(packed) as archive:
        names = {name.removeprefix("package/") for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")

    package = json.loads((tmp_path / "package/package.json").read_text())
    exported = {path.removeprefix("./") for entry in package["exports"].values() for path in
                ([entry] if isinstance(entry, str) else entry.values())}  # fmt: skip
    assert exported <= names
    assert {"README.md", "LICENSE"} <= names
    assert not any(re.match(r"node_modules|.*\.test\.js|.*lock", name) for name in names)
    for name in (name for name in names if name.endswith(".js")):
        imported = re.findall(r'(?:from|import\()\s*"(\.[^"]+)"', (tmp_path / "package" / name).read_text())
        assert all((tmp_path / "package" / name).parent.joinpath(path).is_file() for path in imported), name


def test_the_package_needs_nothing_and_react_only_if_one_likes():
    package = json.loads((BROWSER / "package.json").read_text())

    assert (package["name"], package["type"], package["license"]) == ("aimkeeper-browser", "module", "MIT")
    assert "dependencies" not in package
    assert package["peerDependenciesMeta"] == {"react": {"optional": True}}
    assert (BROWSER / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("folder", ["browser", "browser/dev/react18", "tests/browser/next_app"])
def test_lock_files_name_no_registry(folder):
    text = (ROOT / folder / "package-lock.json").read_text()

    assert '"integrity"' in text
    assert '"resolved"' not in text
    assert "://" not in re.sub(r'"(url|funding)": "[^"]*"', "", text)


def test_no_file_is_longer_than_the_house_allows():
    files = [*BROWSER.glob("*.js"), *BROWSER.glob("lib/*.js"), *HERE.rglob("*.py"), *(HERE / "unit").glob("*.js")]

    assert len(files) > 15
    assert {path.name: lines for path in files if (lines := len(path.read_text().splitlines())) > 400} == {}
