"""
As much of GitHub's runner as the workflow needs: its steps in order, with their conditions, expressions and files.

Read from a workflow: `if`, `env`, `run`, `id`, `name`; expressions with `secrets`, `vars`, `steps`, `job`, `env`,
`always()`, `failure()`, `success()`, `||`, `&&`, `==`, `!=` and texts. Anything else fails loudly.
"""

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "token-refresh.yml"
PATIENCE = 100

SETTINGS, REFRESH, STATISTICS = "Look at the settings", "Execute token refresh", "Get refresh statistics"
NOTIFY, SUMMARY = "Notify on failure", "Summary"
# What aimkeeper counts, as it names it.
RESULTS = ("processed", "successful", "failed", "loggedOut", "skipped", "remaining")

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")
_WORD = re.compile(r"\s*('(?:[^']|'')*'|\|\||&&|==|!=|!|\(|\)|[A-Za-z_][\w.-]*(?:\(\))?)")


@dataclass
class Run:
    """
    What became of a run.

    Attributes:
        status: `success` or `failure`, as of the job.
        outcomes: Of each step, by name: `success`, `failure` or `skipped`.
        logs: What each step printed, by name, nothing masked.
        outputs: Of each step with an id.
        summary: The step summary.
        files: What lies in the runner's folders at the end.
    """

    status: str = "success"
    outcomes: dict[str, str] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    summary: str = ""
    files: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        return "\n".join(self.logs.values())

    def annotations(self, kind: str) -> list[str]:
        """What the steps told GitHub to show as `error`, `warning` or `notice`."""
        return re.findall(rf"^::{kind} [^:]*::(.*)$", self.log, re.MULTILINE)


class Runner:
    """
    A machine that runs the workflow's one job.

    Args:
        folder: Of this machine; empty.
        github: The variables that GitHub sets for every step.
    """

    def __init__(self, folder: Path, **github: str) -> None:
        self._folder = folder
        self._github = {
            "GITHUB_REPOSITORY": "ana/keeper",
            "GITHUB_RUN_ID": "77001",
            "GITHUB_RUN_NUMBER": "42",
            "GITHUB_SERVER_URL": "https://github.com",
            **github,
        }

    def run(self, secrets: dict[str, str], variables: dict[str, str] | None = None) -> Run:
        """Run the job; a secret that is not set is an empty text, as it is on GitHub."""
        workflow = yaml.safe_load(WORKFLOW.read_text("utf-8"))
        [job] = workflow["jobs"].values()
        assert workflow["defaults"] == {"run": {"shell": "bash"}}
        assert set(job) <= {"runs-on", "timeout-minutes", "steps"}
        run = Run()
        for number, step in enumerate(job["steps"]):
            known = {"secrets": secrets, "vars": variables or {}, "run": run}
            self._step(number, step, known, run)
        workspace = [path for path in self._folder.rglob("*") if path.is_file()]
        run.files = [str(path.relative_to(self._folder)) for path in sorted(workspace)]
        return run

    def _step(self, number: int, step: dict, known: dict, run: Run) -> None:
        assert set(step) <= {"name", "id", "if", "env", "run"}, step
        name, condition = step["name"], str(step.get("if", "success()"))
        # Without a word about the job's state, a condition means "and all went well so far".
        asks_state = any(word in condition for word in ("always()", "failure()", "success()"))
        if not _truth(condition, known) or (not asks_state and run.status != "success"):
            run.outcomes[name] = "skipped"
            return
        place = self._folder / f"step-{number}"
        for folder in (place, self._folder / "temp", self._folder / "workspace"):
            folder.mkdir(parents=True, exist_ok=True)
        script = place / "script.sh"
        script.write_text(step["run"], "utf-8")
        files = {"GITHUB_OUTPUT": place / "output", "GITHUB_STEP_SUMMARY": place / "summary"}
        for path in files.values():
            path.touch()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "LANG": "C.UTF-8",
            "RUNNER_TEMP": str(self._folder / "temp"),
            **self._github,
            **{variable: str(path) for variable, path in files.items()},
            **{variable: _filled(str(value), known) for variable, value in step.get("env", {}).items()},
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self._folder / "workspace",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        run.logs[name] = done.stdout.decode()
        run.outcomes[name] = "success" if done.returncode == 0 else "failure"
        if done.returncode != 0:
            run.status = "failure"
        if "id" in step:
            run.outputs[step["id"]] = _read_outputs(files["GITHUB_OUTPUT"].read_text("utf-8"))
        run.summary += files["GITHUB_STEP_SUMMARY"].read_text("utf-8")


def _read_outputs(text: str) -> dict[str, str]:
    """Lines `name=value`; a line of another shape is an error on GitHub too."""
    told = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        assert equals, f"not an output: {line!r}"
        told[name] = value
    return told


def _filled(text: str, known: dict) -> str:
    return _EXPRESSION.sub(lambda found: str(_value(found[1], known)), text)


def _truth(condition: str, known: dict) -> bool:
    return bool(_value(condition.strip().removeprefix("${{").removesuffix("}}"), known))


def _value(expression: str, known: dict) -> object:
    """An expression's value, by way of the same words in Python."""
    words, at = [], 0
    while expression[at:].strip():
        found = _WORD.match(expression, at)
        assert found, f"not understood: {expression!r}"
        words.append(found[1])
        at = found.end()
    names: dict[str, object] = {}
    python = {"||": "or", "&&": "and", "!": "not", "==": "==", "!=": "!=", "(": "(", ")": ")"}
    said = []
    for word in words:
        if word in python:
            said.append(python[word])
        else:
            names[f"_{len(names)}"] = _look_up(word, known)
            said.append(f"_{len(names) - 1}")
    return eval(" ".join(said), {"__builtins__": {}}, names)  # words of ours only


def _look_up(word: str, known: dict) -> object:
    run: Run = known["run"]
    if word.startswith("'"):
        return word[1:-1].replace("''", "'")
    states = {"always()": True, "failure()": run.status == "failure", "success()": run.status == "success"}
    if word in states:
        return states[word]
    match word.split("."):
        case ["job", "status"]:
            return run.status
        case ["secrets" | "vars" as kind, name]:
            return known[kind].get(name, "")
        case ["steps", step, "outputs", name]:
            return run.outputs.get(step, {}).get(name, "")
    raise AssertionError(f"not understood: {word!r}")
