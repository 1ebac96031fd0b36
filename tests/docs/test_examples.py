"""
Every example in the documentation is run, page by page, against a served simulator.

A page is one shell session in a fresh home folder. In a ```console block each line `$ command` is run (lines `> …`
continue it); what stands below it is compared with what was printed, where `…` stands for anything in a line, and alone
for any lines. `serve`, `worker` and `simulate` go on until the page ends, and must then stop in good order. A ```sh
block is run as one script, a ```python block as a program. Comments do what a page leaves to the world:
`<!-- file: NAME -->` writes the block that follows into a file instead, `<!-- simulator: log in EMAIL -->` and
`<!-- simulator: kill EMAIL -->` work upstream.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60
# The addresses that a reader of a page goes to, or puts his own in place of.
_AIMHARDER = re.compile(r"https://(?:(?:yourbox|login)\.)?aimharder\.com")

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$|^<!-- (simulator|file): (.+?) -->$", re.DOTALL | re.MULTILINE)
_RUN = ("console", "sh", "python")
_SHOWN = ("text", "json", "ini", "sql", "js", "jsx", "html", "yaml", "dockerfile")
_SERVES = re.compile(r"aimkeeper (serve|worker|simulate)\b")
# A page that brings its own AimHarder says itself where it is.
_BRINGS_ITS_OWN = "$ aimkeeper simulate"
_LOCAL = re.compile(r"(127\.0\.0\.1:|--port )(\d+)")
# What can't be done here is checked as far as it can be: that the target exists, that the package can be built.
_BUILD = "-m pip install --dry-run --no-deps --no-build-isolation --no-index"
_STAND_INS = {
    r"make (\w+)": f"make --dry-run --directory {ROOT} \\1",
    r"pipx install \.": f"{sys.executable} {_BUILD} {ROOT}",
    r"(?:systemctl|loginctl|journalctl) .*": "true",
    r"aimkeeper service (\w+)": r"aimkeeper service \1 --help",
}


@dataclass(frozen=True)
class Example:
    """One block, or one word to the simulator. A block below a comment `file` has that name."""

    kind: str
    text: str
    line: int
    file: str = ""


def examples_of(page: str) -> list[Example]:
    text = (ROOT / page).read_text("utf-8")
    found = []
    file = ""
    for match in _FENCE.finditer(text):
        kind, body, comment, told = match.groups()
        line = text[: match.start()].count("\n") + 1
        if comment == "file":
            file = told
        elif comment:
            found.append(Example("simulator", told, line))
        elif kind in _RUN or file:
            found.append(Example(kind, body, line, file))
            file = ""
    return found


def pages_with_examples() -> list[str]:
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    names = sorted(str(path.relative_to(ROOT)) for path in paths)
    return [name for name in names if any(example.kind in _RUN for example in examples_of(name))]


class Shell:
    """One page's shell session."""

    def __init__(self, site, home: Path, stack: ExitStack, *, brings_its_own: bool) -> None:
        self.site = site
        self.home = home
        self.where = ""
        self._stack = stack
        self._ports: dict[str, int] = {}
        self._served: list[tuple[str, subprocess.Popen[bytes], Path]] = []
        self._state = home / ".state"
        folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
        kept = {name: os.environ[name] for name in ("PYTHONPATH", "LANG", "LC_ALL") if name in os.environ}
        self.environment = kept | {
            "PATH": os.pathsep.join(folders),
            "HOME": str(home),
            "AIMHARDER_URL": site.url,
            "AIMHARDER_LOGIN_URL": site.url,
            "AIMKEEPER_PORT": str(self._port("8000")),
        }
        if brings_its_own:
            self.environment = {name: self.environment[name] for name in self.environment if "AIMHARDER" not in name}

    def play(self, example: Example) -> None:
        if example.kind == "simulator":
            self._simulate(example.text)
        elif example.file:
            (self.home / example.file).write_text(_AIMHARDER.sub(self.site.url, example.text), "utf-8")
        elif example.kind == "python":
            self._python(example)
        elif example.kind == "sh":
            self._command(example.text, [])
        else:
            for command, wanted in _commands(example.text):
                self._command(command, wanted)

    def _simulate(self, told: str) -> None:
        verb, _, email = told.rpartition(" ")
        if verb == "kill":
            self.site.end_sessions_of(email)
            return
        assert verb == "log in", f"{self.where}: unknown word to the simulator: {told}"
        printed, status = self._bash(f"aimkeeper login {email}")
        assert status == 0, f"{self.where}: {printed}"

    def _python(self, example: Example) -> None:
        path = self.home / f"example-{example.line}.py"
        path.write_text(_AIMHARDER.sub(self.site.url, example.text), "utf-8")
        printed, status = self._bash(f"{shlex.quote(sys.executable)} {path}")
        assert status == 0, f"{self.where}:\n{printed}"

    def _command(self, command: str, wanted: list[str]) -> None:
        if _SERVES.search(command):
            assert wanted, f"{self.where}: show what `{command}` prints, for that is what we wait for"
            self._serve(command, wanted)
            return
        printed, status = self._bash(command)
        where = f"{self.where}, `{command}` printed:\n{printed}\n"
        # A page that shows a failure shows its exit status too.
        assert status == 0, f"{where}with exit status {status}"
        if wanted:
            shown = "\n".join(wanted)
            assert _pattern(wanted).fullmatch(_plain(printed)), f"{where}and the page says:\n{shown}"

    def _bash(self, command: str) -> tuple[str, int]:
        """Run it in the session: folder and variables go on from the command before."""
        state = shlex.quote(str(self._state))
        script = f". {state} 2>/dev/null\nset -a\n{self._local(command)}\nstatus=$?\n"
        script += f"{{ export -p; echo cd $PWD; }} > {state}\nexit $status\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.home,
            env=self.environment,
            # Nobody is at a terminal: what a prompt would ask comes from here.
            input=f"{self.site.PASSWORD}\n".encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        return self._documented(done.stdout.decode()), done.returncode

    def _serve(self, command: str, wanted: list[str]) -> None:
        log = self.home / f".served-{len(self._served)}"
        state = shlex.quote(str(self._state))
        script = f". {state} 2>/dev/null\nexec {self._local(command)}"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["bash", "-c", script],
                cwd=self.home,
                env=self.environment,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )
        self._stack.callback(_put_down, process)
        self._served.append((command, process, log))
        pattern, deadline = _pattern(wanted), time.monotonic() + PATIENCE
        while not pattern.match(printed := _plain(self._documented(log.read_text("utf-8")))):
            alive = process.poll() is None and time.monotonic() < deadline
            shown = "\n".join(wanted)
            assert alive, f"{self.where}, `{command}` printed:\n{printed}\nand the page says:\n{shown}"
            time.sleep(0.05)

    def leave(self) -> None:
        """The page is over: what it started stops in good order."""
        for _, process, _ in self._served:
            process.send_signal(signal.SIGTERM)
        for command, process, log in self._served:
            status = process.wait(PATIENCE)
            assert status == 0, f"{self.where}: `{command}` ended with {status}:\n{log.read_text('utf-8')}"

    def _local(self, command: str) -> str:
        for pattern, stand_in in _STAND_INS.items():
            if re.fullmatch(pattern, command):
                return re.sub(pattern, stand_in, command)
        command = _LOCAL.sub(lambda match: f"{match[1]}{self._port(match[2])}", command)
        return _AIMHARDER.sub(self.site.url, command)

    def _documented(self, printed: str) -> str:
        """Output as it would be with the page's own addresses."""
        for documented, real in self._ports.items():
            printed = printed.replace(f"127.0.0.1:{real}", f"127.0.0.1:{documented}")
        return printed

    def _port(self, documented: str) -> int:
        if documented not in self._ports:
            with closing(socket.socket()) as free:
                free.bind(("127.0.0.1", 0))
                self._ports[documented] = free.getsockname()[1]
        return self._ports[documented]


def _put_down(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


def _commands(block: str) -> list[tuple[str, list[str]]]:
    """Each command of a block with the lines below it. A prompt for the password is not among them."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", [])
        elif line.strip() != "AimHarder password:":
            assert found, f"a block must begin with a command, not with {line!r}"
            found[-1][1].append(line)
    return found


def _plain(text: str) -> str:
    """Columns are as wide as their widest word, which is not ours to know: one space is as good as many."""
    return "".join(" ".join(line.split()) + "\n" for line in text.splitlines())


def _pattern(wanted: list[str]) -> re.Pattern[str]:
    parts = []
    for line in wanted:
        words = re.escape(" ".join(line.split())).replace("…", ".*?")
        parts.append(r"(?:.*\n)*?" if line.strip() == "…" else words + r"\n")
    return re.compile("".join(parts))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages ask with curl")
@pytest.mark.parametrize("page", pages_with_examples())
def test_every_example_of_a_page_does_what_the_page_says(page, site, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    members = [site.sim.open_session(email, f"{number:050x}") for number, email in enumerate(site.MEMBERS[1:], 1)]
    (home / "sessions.jsonl").write_text("".join(json.dumps(member.record()) + "\n" for member in members))

    with ExitStack() as stack:
        shell = Shell(site, home, stack, brings_its_own=_BRINGS_ITS_OWN in (ROOT / page).read_text("utf-8"))
        for example in examples_of(page):
            shell.where = f"{page}:{example.line}"
            shell.play(example)
        shell.leave()


def test_every_block_is_run_or_of_a_kind_that_is_only_shown(pages):
    strange = [
        f"{page}: {indent}```{kind}"
        for page, text in pages.items()
        for indent, kind in re.findall(r"^( *)```(.*)\n(?:.*\n)*?\1```$", text, re.MULTILINE)
        if indent or kind not in _RUN + _SHOWN
    ]

    assert strange == []


def test_the_pages_for_people_have_examples_that_are_run():
    assert {"README.md", "docs/how-to/log-in.md", "docs/how-to/use-from-python.md"} <= set(pages_with_examples())


def test_a_page_that_says_something_else_than_the_program_is_noticed():
    told = _plain("SESSION     STATUS\nyou@example.com#123   active\n")

    assert _pattern(["SESSION STATUS", "you@example.com#… active"]).fullmatch(told)
    assert _pattern(["…", "you@…"]).fullmatch(told)
    assert not _pattern(["SESSION STATUS", "you@example.com#… ended"]).fullmatch(told)
    assert not _pattern(["SESSION STATUS"]).fullmatch(told)
