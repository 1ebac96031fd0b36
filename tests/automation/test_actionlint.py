"""The linters of workflows have nothing to say, and would say it."""

import subprocess
import sys

import pytest

from .runner import ROOT, WORKFLOW

pytestmark = pytest.mark.slow


def lint(*files: str) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [ROOT / "tools" / "actionlint.sh", *files],
        env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/tmp", "PYTHON": sys.executable},
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    if done.returncode == 2 and "is missing" in done.stderr:
        pytest.skip(done.stderr.strip())
    return done


def test_actionlint_and_shellcheck_find_nothing_in_our_workflows():
    linted = lint()

    assert (linted.returncode, linted.stderr) == (0, "")
    assert linted.stdout.endswith("actionlint and shellcheck have nothing to say.\n")


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("'*/15 * * * *'", "'99 * * * *'", "invalid CRON format"),
        ("steps.refresh.outputs.failed", "steps.refesh.outputs.failed", 'property "refesh" is not defined'),
        ('if [ -z "$url" ]', "if [ -z $url ]", "SC2086"),
    ],
    ids=["a schedule that is none", "a step that does not exist", "a variable without quotes"],
)
def test_a_mistake_in_a_workflow_is_found(tmp_path, right, wrong, said):
    text = WORKFLOW.read_text("utf-8")
    assert right in text
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace(right, wrong), "utf-8")

    linted = lint(str(broken))

    assert linted.returncode == 1
    assert said in linted.stdout + linted.stderr
