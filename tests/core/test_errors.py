"""The errors: one tree, stable codes, data instead of prose."""

import re
from datetime import timedelta

import pytest

from aimkeeper.core import errors
from aimkeeper.core.errors import AimkeeperError


def all_of(root: type[AimkeeperError]) -> list[type[AimkeeperError]]:
    return [root, *(error for child in root.__subclasses__() for error in all_of(child))]


HOUSE = [error for error in all_of(AimkeeperError) if error.__module__ == errors.__name__]


def test_every_error_has_a_code_of_its_own():
    codes = [error.code for error in HOUSE]

    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_the_tree_drawn_at_the_top_is_the_tree_there_is():
    drawn = re.findall(r"^( *)[*x] (\w+)", errors.__doc__, re.MULTILINE)
    depth = {error.__name__: error.__mro__.index(AimkeeperError) for error in HOUSE}

    assert {name: (len(indent) + 1) // 2 for indent, name in drawn} == depth


@pytest.mark.parametrize(
    ("error", "worth_it"),
    [
        (errors.StoreUnavailable, True),
        (errors.UpstreamUnavailable, True),
        (errors.RateLimited, True),
        (errors.LockedOut, True),
        (errors.Superseded, True),
        (errors.ConfigError, False),
        (errors.KeyProblem, False),
        (errors.ForeignDatabase, False),
        (errors.UnknownSession, False),
        (errors.AmbiguousSession, False),
        (errors.AlreadyKept, False),
        (errors.SessionEnded, False),
        (errors.UpstreamRefused, False),
        (errors.BadCredentials, False),
        (errors.ProtocolChanged, False),
        (errors.HolderConflict, False),
    ],
)
def test_only_what_may_get_better_by_itself_is_worth_another_try(error, worth_it):
    assert error.retryable is worth_it


@pytest.mark.parametrize(
    ("error", "held"),
    [
        (errors.AmbiguousSession("two", candidates=("a#1", "a#2")), {"candidates": ("a#1", "a#2")}),
        (errors.SessionEnded("over", cause="idle_timeout"), {"cause": "idle_timeout"}),
        (errors.SessionEnded("over"), {"cause": None}),
        (errors.UpstreamUnavailable("later"), {"retry_after": timedelta(seconds=5)}),
        (errors.Paused(retry_after=timedelta(seconds=9)), {"retry_after": timedelta(seconds=9)}),
        (errors.RateLimited("slower", retry_after=timedelta(minutes=1)), {"retry_after": timedelta(minutes=1)}),
        (errors.LockedOut("wait", retry_after=timedelta(minutes=15)), {"retry_after": timedelta(minutes=15)}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_carries_what_a_caller_may_act_on(error, held):
    assert {name: getattr(error, name) for name in held} == held
    assert str(error) == error.args[0]


def test_a_refused_address_says_what_to_do_and_that_the_password_was_not_judged():
    told = str(errors.UpstreamRefused())

    assert "AIMKEEPER_UPSTREAM_PROXY" in told
    assert "password was not judged" in told
    assert str(errors.UpstreamRefused("otherwise")) == "otherwise"
