"""The page's words for states, causes, events and exchanges are all there, and say what the command line says."""

import re
from pathlib import Path

import pytest

from aimkeeper.cli.words import BY_ITS_OWNER, WHY
from aimkeeper.core.events import EventKind
from aimkeeper.core.outcome import Life, Reason
from aimkeeper.core.session import Cause, Status

WORDS = (Path(__file__).parents[2] / "src/aimkeeper/web/static/board/words.js").read_text("utf-8")
BROUGHT = ["rotated", "logged_out", *Reason, *Life]
VIAS = ["token_update", "setrefresh", "spare", "whoami", "login", "adopt"]


def table(name):
    """The keys of one table of the page, and the rest of each line."""
    text = re.search(rf"export const {name} = \{{\n(.*?)\n\}};", WORDS, re.DOTALL)[1]
    return dict(re.findall(r"^  (\w+): (.+?),?$", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("STATES", list(Status)),
        ("CAUSES", list(Cause)),
        ("KINDS", list(EventKind)),
        ("BROUGHT", BROUGHT),
        ("VIAS", VIAS),
        ("UPSTREAM", ["well", "out", "returning", "throttled"]),
    ],
    ids=["states", "causes", "events", "what exchanges bring", "ways of an exchange", "states of the site"],
)
def test_the_page_has_words_for_every_one_and_for_no_other(name, words):
    assert sorted(table(name)) == sorted(map(str, words))


def test_the_page_says_of_each_cause_what_the_command_line_says():
    assert {cause: f'"{sentence}"' for cause, sentence in WHY.items()} == table("CAUSES")


def test_the_page_knows_which_ends_were_somebody_s_wish():
    told = re.search(r"export const BY_ITS_OWNER = (\[.*\]);", WORDS)[1]

    assert re.findall(r'"(\w+)"', told) == [str(cause) for cause in BY_ITS_OWNER]
