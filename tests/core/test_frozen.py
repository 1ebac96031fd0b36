"""Values made without looking are what `dataclasses` would have made of them."""

from dataclasses import dataclass, fields, replace

import pytest

from aimkeeper.core.frozen import altered, value
from aimkeeper.core.session import Status


def test_an_altered_session_is_what_replace_makes_of_it(session):
    by_hand = altered(session, status=Status.IN_DOUBT, attempt=3)

    assert by_hand == replace(session, status=Status.IN_DOUBT, attempt=3)
    assert set(vars(by_hand)) == {field.name for field in fields(session)}
    assert session.status is Status.ACTIVE


def test_a_class_with_slots_is_refused():
    @dataclass(frozen=True, slots=True)
    class Slotted:
        one: int = 1

    with pytest.raises(AttributeError, match="__dict__"):
        altered(Slotted(), one=2)


def test_a_value_may_be_a_key_as_what_is_frozen_may():
    @value(frozen=True, slots=True)
    class Pair:
        one: int
        two: str

    names = {Pair(1, "a"): "first"}

    assert names[Pair(1, "a")] == "first"
    assert Pair(1, "b") not in names
