"""The image: each step of the Dockerfile names what is there, and the build does from what is copied alone."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv

import pytest

from aimkeeper.web.app import HEALTH_ROUTES

from .conftest import SETTINGS, invoked

BUILD_TOOLS = re.compile(r"uninstall --yes ([\w -]+)$", re.MULTILINE)


@pytest.fixture
def steps(root) -> list[tuple[str, str]]:
    """Its instructions and their arguments, one line each."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", (root / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE))
    return [tuple(line.strip().split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def arguments(steps, instruction: str) -> list[str]:
    return [rest for word, rest in steps if word == instruction]


def copied(steps) -> list[tuple[list[str], str]]:
    """What is copied out of this folder, and where to."""
    found = [shlex.split(rest) for rest in arguments(steps, "COPY") if not rest.startswith("--from")]
    return [(words[:-1], words[-1]) for words in found]


def test_what_is_copied_is_there_and_not_kept_out_of_the_build(root, steps):
    let_in = {line[1:] for line in (root / ".dockerignore").read_text().split() if line.startswith("!")}

    sources = {name for names, _ in copied(steps) for name in names}

    assert sources == let_in
    assert all((root / name).exists() for name in sources)


def test_it_runs_as_nobody_in_particular_and_says_whether_it_is_alive(root, steps):
    [user] = arguments(steps, "USER")
    [health] = arguments(steps, "HEALTHCHECK")
    asked = re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", health)

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert f"--uid {user.partition(':')[0]} " in " ".join(arguments(steps, "RUN"))
    assert asked[2] in {path for route in HEALTH_ROUTES for path in route.paths}
    assert arguments(steps, "EXPOSE") == [asked[1]]


def test_it_starts_serve_on_the_port_that_is_looked_at(steps):
    [entry], [command] = (json.loads(one) for one in (arguments(steps, "ENTRYPOINT")[0], arguments(steps, "CMD")[0]))

    call = invoked([command])

    assert entry == "aimkeeper"
    assert (call.name, [str(call.port)]) == ("serve", arguments(steps, "EXPOSE"))


def test_every_variable_it_sets_is_a_setting(steps):
    named = {word.partition("=")[0] for rest in arguments(steps, "ENV") for word in shlex.split(rest)}

    assert named - {"PATH"} <= SETTINGS


def test_what_it_takes_out_again_is_what_only_the_build_needs(root, steps):
    runs = "\n".join(arguments(steps, "RUN"))
    taken_out = set(BUILD_TOOLS.search(runs)[1].split())
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    needed = {re.split(r"[>=\[<]", name)[0] for name in project["project"]["dependencies"]}
    pinned = (root / "requirements.lock").read_text("utf-8")

    assert all(re.search(rf"^{name}==", pinned, re.MULTILINE) for name in taken_out)
    assert not taken_out & needed
    for name in taken_out:
        # The comment below each pin says who wants it.
        wanted_by = re.search(rf"^{name}==(?:.*\n)+?((?:    #.*\n)+)", pinned, re.MULTILINE)[1]
        others = set(re.findall(r"#\s+(?:via )?([\w-]+)", wanted_by)) - {"via", "aimkeeper"}
        assert others <= taken_out, f"{name} is needed by {others - taken_out} too"


@pytest.mark.slow
def test_the_program_is_built_from_what_is_copied_alone_and_runs(root, steps, tmp_path):
    """The lock itself is installed by `make` in the same way; here its packages are lent by this environment."""
    for names, target in copied(steps):
        for name in names:
            goal = tmp_path / target.strip("/") / ("" if (root / name).is_dir() else name)
            goal.parent.mkdir(parents=True, exist_ok=True)
            if (root / name).is_dir():
                shutil.copytree(root / name, goal, symlinks=True, ignore=shutil.ignore_patterns("node_modules"))
            else:
                shutil.copy(root / name, goal)
    built = tmp_path / "opt" / "aimkeeper"
    venv.create(built, symlinks=True)
    lent = built / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages" / "lent.pth"
    lent.write_text(sysconfig.get_path("purelib") + "\n")
    [install] = [rest for rest in arguments(steps, "RUN") if "--no-build-isolation" in rest]
    command = (
        install.partition(" && ")[0]
        .replace("/opt", str(tmp_path / "opt"))
        .replace(" /source", f" {tmp_path / 'source'}")
    )

    subprocess.run([sys.executable, "-m", *shlex.split(command), "--quiet", "--no-index"], check=True, timeout=100)

    ran = subprocess.run(
        [built / "bin" / "aimkeeper", "settings"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100
    )
    assert ran.stdout.startswith("SETTING")
    where = [built / "bin" / "python", "-c", "import aimkeeper.web.static; print(aimkeeper.web.static.__path__[0])"]
    static = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=100).stdout.strip()
    assert static.startswith(str(built))
    assert {"auto-token-refresh.js", "element.js", "react.js"} <= {file.name for file in (built / static).iterdir()}
