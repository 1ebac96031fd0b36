"""Sealing: what is sealed opens with its key, in its place, whole; and with nothing else."""

import base64
import errno
import os
import stat

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from aimkeeper.core.errors import ConfigError, KeyProblem, StoreUnavailable
from aimkeeper.store.seal import Key, Sealer, _subkey, load_sealer, new_key, write_private


def sealer(*texts):
    return Sealer([Key.parse(text) for text in texts or (new_key(),)])


@pytest.fixture
def one():
    return sealer()


# ------------------------------------------------------------ values


@given(plain=st.binary(max_size=2000), row=st.text(max_size=40), column=st.sampled_from(["sealed", "spare"]))
def test_what_is_sealed_opens_again(plain, row, column):
    one = sealer("A" * 43)

    assert one.open(row, column, one.seal(row, column, plain)) == plain


def test_the_same_value_never_looks_the_same_twice(one):
    assert one.seal("row", "sealed", b"plain") != one.seal("row", "sealed", b"plain")


def test_a_sealed_value_shows_nothing_of_what_it_holds(one):
    plain = b"69232|1766907797|f3069323e00d81750c8590bb1f5f93b6"

    sealed = one.seal("row", "sealed", plain)

    assert all(plain[at : at + 6] not in sealed for at in range(len(plain) - 6))


@pytest.mark.parametrize(
    ("row", "column"),
    [("another", "sealed"), ("row", "spare"), ("row\0sealed", ""), ("", "row\0sealed")],
    ids=["into another row", "into another column", "across the border", "across it, the other way"],
)
def test_a_value_that_was_moved_does_not_open(one, row, column):
    sealed = one.seal("row", "sealed", b"plain")

    with pytest.raises(KeyProblem, match="damaged or moved"):
        one.open(row, column, sealed)


def test_a_value_damaged_anywhere_does_not_open(one):
    sealed = one.seal("row", "sealed", b"plain")

    for at in range(len(sealed)):
        with pytest.raises(KeyProblem):
            one.open("row", "sealed", sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])


def test_a_value_cut_off_anywhere_does_not_open(one):
    sealed = one.seal("row", "sealed", b"plain")

    for length in range(len(sealed)):
        with pytest.raises(KeyProblem):
            one.open("row", "sealed", sealed[:length])


def test_each_row_is_sealed_with_a_key_of_its_own():
    key = Key.parse("A" * 43)
    sealed = Sealer([key]).seal("a", "sealed", b"plain")
    nonce, text = sealed[5:17], sealed[17:]

    def opened_with(secret):
        return AESGCM(secret).decrypt(nonce, text, b"a\0sealed")

    assert opened_with(_subkey(key, "a")) == b"plain"
    for other in (_subkey(key, "b"), key.secret):
        with pytest.raises(InvalidTag):
            opened_with(other)


# ------------------------------------------------------------ keys


def test_the_first_key_seals_and_all_open():
    old, new = new_key(), new_key()
    before = sealer(old).seal("row", "sealed", b"plain")
    both = sealer(new, old)

    assert both.open("row", "sealed", before) == b"plain"
    assert sealer(new).open("row", "sealed", both.seal("row", "sealed", b"plain")) == b"plain"


def test_an_unknown_key_is_named_by_its_id_along_with_those_at_hand():
    unknown, known = new_key(), new_key()
    sealed = sealer(unknown).seal("row", "sealed", b"plain")

    with pytest.raises(KeyProblem) as caught:
        sealer(known).open("row", "sealed", sealed)

    message = str(caught.value)
    assert Key.parse(unknown).id.hex() in message
    assert Key.parse(known).id.hex() in message
    assert "add that key" in message
    assert unknown not in message
    assert known not in message


@pytest.mark.parametrize(
    "text", [new_key(), new_key().rstrip("="), f"  {new_key()}\n"], ids=["as printed", "unpadded", "with space"]
)
def test_a_key_is_read_as_it_is_printed_with_or_without_its_padding(text):
    assert len(Key.parse(text).secret) == 32


@pytest.mark.parametrize(
    "text",
    ["", "short", new_key() + "A", new_key()[:-2], "!" + new_key(), new_key()[:20] + " " + new_key()[20:], "ñ" * 43],
    ids=["nothing", "short", "longer", "shorter", "a sign too many", "in two parts", "not ASCII"],
)
def test_what_is_no_key_is_refused_without_being_repeated(text):
    with pytest.raises(ValueError, match="32 bytes") as caught:
        Key.parse(text)

    assert text == "" or text not in str(caught.value)


def test_a_new_key_is_good_and_no_other():
    keys = {new_key() for _ in range(20)}

    assert len(keys) == 20
    assert all(len(base64.urlsafe_b64decode(key)) == 32 for key in keys)
    assert Key.new() != Key.new()


def test_neither_key_nor_sealer_shows_the_secret():
    text = new_key()
    key = Key.parse(text)

    for shown in (repr(key), str(key), repr(Sealer([key]))):
        assert text.rstrip("=") not in shown
        assert repr(key.secret) not in shown
        assert key.secret.hex() not in shown
    assert key.id.hex() in repr(Sealer([key]))


def test_a_sealer_without_a_key_is_refused():
    with pytest.raises(ValueError, match="no key"):
        Sealer([])


# ------------------------------------------------------------ where keys come from


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "data" / "secret.key"


def test_a_store_that_holds_nothing_gets_a_key_file_only_its_owner_may_read(key_file):
    made = load_sealer(None, key_file, store_is_sealed=False)

    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(key_file.parent.stat().st_mode) == 0o700
    assert load_sealer(None, key_file, store_is_sealed=True).key_ids == made.key_ids
    assert [file.name for file in key_file.parent.iterdir()] == ["secret.key"]


def test_a_key_file_that_is_there_is_used_as_it_is(key_file):
    write_private(key_file, new_key() + "\n" + new_key() + "\n")
    before = key_file.read_bytes()

    loaded = load_sealer(None, key_file, store_is_sealed=False)

    assert key_file.read_bytes() == before
    assert len(loaded.key_ids) == 2


def test_no_key_file_is_made_when_the_store_holds_sealed_values(key_file):
    with pytest.raises(KeyProblem, match=r"secret\.key is gone.*[Pp]ut it back") as caught:
        load_sealer(None, key_file, store_is_sealed=True)

    assert not key_file.exists()
    assert isinstance(caught.value, ConfigError)


def make_a_folder(path):
    path.mkdir(parents=True)


def make_bytes(content):
    def make(path):
        path.parent.mkdir()
        path.write_bytes(content)

    return make


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (make_a_folder, "can't be read"),
        (make_bytes(b"\xff\xfe"), "can't be read: it is not text"),
        (make_bytes(b""), "holds no key"),
        (make_bytes(b"hello\n"), "32 bytes"),
    ],
    ids=["a folder", "not text", "empty", "not a key"],
)
@pytest.mark.parametrize("store_is_sealed", [True, False])
def test_a_key_file_that_can_not_be_used_is_named_and_left_alone(key_file, make, why, store_is_sealed):
    make(key_file)

    with pytest.raises(KeyProblem, match=why) as caught:
        load_sealer(None, key_file, store_is_sealed=store_is_sealed)

    assert str(key_file) in str(caught.value)
    assert key_file.is_dir() or "hello" not in str(caught.value)


def test_a_setting_goes_before_the_key_file_and_makes_none(key_file):
    old, new = new_key(), new_key()

    loaded = load_sealer(f" {new} , {old},", key_file, store_is_sealed=False)

    assert loaded.key_ids == (Key.parse(new).id.hex(), Key.parse(old).id.hex())
    assert not key_file.exists()


def test_a_setting_may_be_what_a_key_file_holds():
    old, new = new_key(), new_key()

    assert load_sealer(f"{new}\n{old}", None, store_is_sealed=False).key_ids == sealer(new, old).key_ids


@pytest.mark.parametrize(
    "setting", [",", "not a key", f"{new_key()},not a key"], ids=["no key", "rubbish", "a key and rubbish"]
)
def test_a_setting_that_can_not_be_used_is_named_and_not_repeated(setting):
    with pytest.raises(KeyProblem, match="AIMKEEPER_SECRET_KEYS") as caught:
        load_sealer(setting, None, store_is_sealed=False)

    assert "not a key" not in str(caught.value)
    assert "keys new" in str(caught.value)


@pytest.mark.parametrize("setting", [None, ""])
def test_a_shared_store_needs_the_setting(setting):
    with pytest.raises(KeyProblem, match="AIMKEEPER_SECRET_KEYS is not set"):
        load_sealer(setting, None, store_is_sealed=False)


# ------------------------------------------------------------ private files


def test_a_private_file_that_is_there_is_left_alone(tmp_path):
    path = tmp_path / "operator.key"
    write_private(path, "first")

    write_private(path, "second")

    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_that_appears_meanwhile_is_left_alone_too(tmp_path, monkeypatch):
    path = tmp_path / "operator.key"
    fsync = os.fsync

    def another_is_quicker(descriptor):
        fsync(descriptor)
        path.exists() or path.write_text("theirs")

    monkeypatch.setattr(os, "fsync", another_is_quicker)
    write_private(path, "ours")

    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_is_on_the_disk_whole_before_it_bears_its_name(tmp_path, monkeypatch):
    path = tmp_path / "operator.key"
    steps = []
    fsync, link = os.fsync, os.link

    def watch(descriptor):
        steps.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def name(source, target):
        steps.append("named")
        link(source, target)

    monkeypatch.setattr(os, "fsync", watch)
    monkeypatch.setattr(os, "link", name)
    write_private(path, "text")

    assert steps == [path.stat().st_ino, "named", tmp_path.stat().st_ino]


def test_a_private_file_is_made_where_the_file_system_knows_no_links(tmp_path, monkeypatch):
    path = tmp_path / "operator.key"

    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_private(path, "text")

    assert path.read_text() == "text"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_private_file_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StoreUnavailable, match=r"operator\.key can't be made"):
        write_private(tmp_path / "file" / "operator.key", "text")
