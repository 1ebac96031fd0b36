"""Events: facts with stable names, and no secret in them."""

import re

from aimkeeper.core.events import Event, EventKind


def test_every_kind_is_a_word_for_scripts_named_after_its_constant():
    for kind in EventKind:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.value)
        assert kind.name.lower() == kind.value


def test_an_event_has_no_place_until_it_is_committed_and_may_be_about_nobody(now):
    fact = Event(kind=EventKind.ENDED, at=now)

    assert (fact.id, fact.session_id, fact.email, dict(fact.data)) == (0, None, None, {})


def test_two_events_share_no_data(now):
    assert Event(kind=EventKind.ENDED, at=now).data is not Event(kind=EventKind.ENDED, at=now).data
