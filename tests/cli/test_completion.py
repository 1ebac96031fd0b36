"""The tab key: a real bash that has read our completion."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash to press tab in"),
]

TAB = """
eval "$(aimkeeper --show-completion)"
IFS=' ' read -ra COMP_WORDS <<< "$1"
[ "${1: -1}" = " " ] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_aimkeeper_completion aimkeeper
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("aimkeeper verd", ["verdicts"]),
        ("aimkeeper keys ", ["new", "rotate"]),
        ("aimkeeper sessions --st", ["--status"]),
        ("aimkeeper sessions --status su", ["suspected"]),
        ("aimkeeper credentials ana@example.com --format net", ["netscape"]),
        ("aimkeeper nothing-like-that", []),
    ],
    ids=["a command", "a command of a group", "an option", "a status", "a format", "nothing"],
)
def test_the_tab_key_offers_what_can_follow(terminal, typed, offered):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    told = subprocess.run(
        ["bash", "-c", TAB, "bash", typed], capture_output=True, text=True, check=True, env=environment
    )

    assert (told.stdout.split(), told.stderr) == (offered, "")
    assert not terminal.data.exists()
