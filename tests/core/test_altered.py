"""What is made or copied past the constructor is what the constructor would have made."""

from dataclasses import dataclass, fields, replace

import pytest

from aimkeeper.core.altered import altered, made
from aimkeeper.core.session import Status


def test_an_altered_session_is_what_replace_makes_of_it(session):
    by_hand = altered(session, status=Status.IN_DOUBT, attempt=3)

    assert by_hand == replace(session, status=Status.IN_DOUBT, attempt=3)
    assert set(vars(by_hand)) == {field.name for field in fields(session)}
    assert session.status is Status.ACTIVE


def test_what_was_altered_is_as_frozen_as_before(session):
    with pytest.raises(AttributeError, match="cannot assign"):
        altered(session, attempt=3).attempt = 4


def test_a_class_with_slots_is_refused():
    @dataclass(frozen=True, slots=True)
    class Slotted:
        one: int = 1

    with pytest.raises(AttributeError, match="__dict__"):
        altered(Slotted(), one=2)


def test_what_is_made_of_all_its_fields_is_what_the_constructor_makes(session):
    by_hand = made(type(session), **vars(session))

    assert by_hand == session
    assert hash(by_hand.key) == hash(session.key)
    with pytest.raises(AttributeError, match="cannot assign"):
        by_hand.attempt = 4


def test_what_has_slots_is_not_made_without_its_constructor():
    @dataclass(frozen=True, slots=True)
    class Slotted:
        one: int = 1

    with pytest.raises(AttributeError, match="__dict__"):
        made(Slotted, one=2)
