"""Changes as values: an edit of the secrets that fits whatever the row holds by then."""

from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.change import MAX_HANDOUTS, NO_EDIT, SecretsEdit, merge_handouts
from aimkeeper.core.cookies import Cookie, CookieDelta, Jar
from aimkeeper.core.session import Handout, Secrets
from aimkeeper.core.token import Token

OLD = Secrets(Token("1|2|old"), Jar((Cookie("a", "1", "h"),)), "correct horse", (Handout(b"x", 1.0),))

handouts = st.lists(
    st.builds(Handout, st.sampled_from([b"a", b"b", b"c", b"d"]), st.floats(0, 9), st.booleans()), max_size=6
).map(tuple)


def test_an_empty_edit_changes_nothing_and_says_so():
    assert not NO_EDIT
    assert NO_EDIT.apply(OLD) == OLD


def test_an_edit_changes_what_it_names_and_nothing_else():
    new = SecretsEdit(token=Token("1|2|new")).apply(OLD)

    assert (new.token, new.jar, new.password, new.handouts) == (Token("1|2|new"), OLD.jar, OLD.password, OLD.handouts)


def test_cookies_are_merged_into_the_jar_there_is():
    edit = SecretsEdit(cookies=CookieDelta((Cookie("b", "2", "h"),), (("a", "h"),)))

    assert edit
    assert edit.apply(OLD).jar.cookies == (Cookie("b", "2", "h"),)


def test_a_password_is_kept_replaced_or_forgotten():
    assert SecretsEdit().apply(OLD).password == "correct horse"
    assert SecretsEdit(password="new").apply(OLD).password == "new"
    assert SecretsEdit(password="").apply(OLD).password is None
    assert SecretsEdit(password="")


def test_an_edit_shows_no_secret():
    edit = SecretsEdit(token=Token("canary"), cookies=CookieDelta((Cookie("a", "canary", "h"),)), password="canary")

    assert "canary" not in repr(edit)


def test_a_token_handed_out_again_keeps_its_first_moment():
    assert merge_handouts((Handout(b"a", 1.0),), (Handout(b"a", 5.0),)) == (Handout(b"a", 1.0),)


def test_a_token_once_presented_stays_presented():
    presented = Handout(b"a", 1.0, presented=True)

    assert merge_handouts((presented,), (Handout(b"a", 5.0),)) == (presented,)
    assert merge_handouts((Handout(b"a", 1.0),), (Handout(b"a", 5.0, presented=True),)) == (presented,)


def test_the_youngest_handouts_are_kept_oldest_first():
    many = tuple(Handout(bytes([number]), float(number)) for number in range(MAX_HANDOUTS + 3))

    assert merge_handouts(many[:5], many[5:]) == many[3:]


@given(handouts, handouts)
def test_merging_handouts_twice_is_merging_them_once(old, new):
    once = merge_handouts(old, new)

    assert merge_handouts(once, new) == once
    assert len({handout.digest for handout in once}) == len(once)
    for handout in new:
        [kept] = [kept for kept in once if kept.digest == handout.digest]
        assert kept.presented or not handout.presented
