"""Where settings come from: the environment, two files, and files that hold a secret; and what is never shown."""

import errno
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aimkeeper.core.errors import ConfigError
from aimkeeper.settings import Settings, described, load

SECRETS = [name for item in fields(Settings) if item.metadata["secret"] for name in item.metadata["names"]]
KEY = "a-key-of-twenty-four-signs"


@pytest.fixture
def read(tmp_path):
    """The settings that some variables make, in an empty folder."""

    def with_variables(**variables: str) -> Settings:
        return load(variables, tmp_path).settings

    return with_variables


@pytest.fixture
def refused(read):
    """What is said of variables that make no sense: one sentence, on one line."""

    def with_variables(**variables: str) -> str:
        with pytest.raises(ConfigError) as caught:
            read(**variables)
        said = str(caught.value)
        assert said.endswith(".")
        assert "\n" not in said
        return said

    return with_variables


# ------------------------------------------------------------ places


def test_the_environment_goes_before_env_and_env_before_toml(tmp_path):
    (tmp_path / ".env").write_text("AIMKEEPER_HOST=from-env\nAIMKEEPER_LOG_FORMAT=json\n")
    (tmp_path / "aimkeeper.toml").write_text('host = "from-toml"\nlog_format = "console"\nhistory_days = 7\n')

    loaded = load({"AIMKEEPER_HOST": "from-environment"}, tmp_path)

    settings = loaded.settings
    assert (settings.host, settings.log_format, settings.history_days) == ("from-environment", "json", 7)
    assert loaded.sources == {
        "host": "environment (AIMKEEPER_HOST)",
        "log_format": ".env (AIMKEEPER_LOG_FORMAT)",
        "history_days": "aimkeeper.toml (AIMKEEPER_HISTORY_DAYS)",
    }


def test_an_alias_in_a_nearer_place_goes_before_the_name_in_a_farther_one(tmp_path):
    (tmp_path / ".env").write_text("AIMKEEPER_PORT=81\n")

    assert load({"PORT": "80"}, tmp_path).settings.port == 80


@pytest.mark.parametrize(
    ("name", "alias", "value", "field"),
    [
        ("AIMKEEPER_PORT", "PORT", "81", "port"),
        ("AIMKEEPER_DATABASE_URL", "DATABASE_URL", "sqlite:///b.db", "database_url"),
        ("AIMKEEPER_REFRESH_EVERY", "TOKEN_BULK_UPDATE_INTERVAL_MINUTES", "20", "refresh_every"),
    ],
)
def test_in_one_place_the_name_goes_before_the_alias_which_is_not_even_read(read, name, alias, value, field):
    assert getattr(read(**{name: value, alias: "nonsense"}), field) == getattr(read(**{name: value}), field)


@pytest.mark.parametrize("nothing", ["", "   ", "\n"])
def test_an_empty_value_counts_as_not_set(read, tmp_path, nothing):
    (tmp_path / ".env").write_text("AIMKEEPER_PORT=81\n")

    assert read(AIMKEEPER_PORT=nothing, AIMKEEPER_API_KEY_FILE=nothing).port == 81


def test_space_round_a_value_is_no_part_of_it(read):
    assert read(AIMKEEPER_PORT=" 81\n", AIMKEEPER_HOST=" ::1 ").port == 81


def test_an_env_file_may_hold_what_is_not_ours_and_what_windows_puts_in_front(tmp_path):
    (tmp_path / ".env").write_bytes(
        b"\xef\xbb\xbfAIMKEEPER_PORT=81\r\nDISCORD=yes\r\nNOTHING\r\nexport AIMKEEPER_HOST='::1'\r\n"
    )

    settings = load({}, tmp_path).settings

    assert (settings.port, settings.host) == (81, "::1")


@pytest.mark.parametrize("name", [".env", "aimkeeper.toml"])
def test_a_file_that_is_not_text_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match=f"{name} can't be read"):
        load({}, tmp_path)


def test_a_file_that_nobody_may_read_is_named_with_the_reason(tmp_path, monkeypatch):
    (tmp_path / "aimkeeper.toml").write_text("")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ConfigError, match=r"aimkeeper\.toml can't be read: Permission denied\."):
        load({}, tmp_path)


@pytest.mark.parametrize("name", [".env", "aimkeeper.toml"])
def test_a_folder_of_that_name_is_no_file(tmp_path, name):
    (tmp_path / name).mkdir()

    assert load({}, tmp_path).settings == Settings()


def test_toml_takes_every_spelling_and_plain_types(tmp_path):
    (tmp_path / "aimkeeper.toml").write_text(
        'AIMKEEPER_HOST = "::1"\nconcurrency = 7\nmax_rate = 2.5\ntoken_refresh_debug = true\ncron_secret = "s"\n'
        f'api_key = "{KEY}"\n'
    )

    settings = load({}, tmp_path).settings

    assert (settings.host, settings.concurrency, settings.max_rate, settings.debug) == ("::1", 7, 2.5, True)
    assert (settings.cron_secret, settings.api_keys) == ("s", (KEY,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 80", "'prot', which is not a setting"),
        ("[aimkeeper]\nport = 80", "'aimkeeper', which is not a setting"),
        ("port = [80]", "'port', whose value must be a text or a plain number"),
        ("port = 2026-01-01", "'port', whose value must be a text or a plain number"),
        ("max_rate = inf", "'max_rate', whose value must be a text or a plain number"),
        ("max_rate = nan", "'max_rate', whose value must be a text or a plain number"),
        (f"port = 0x{'f' * 10_000}", "'port', whose value must be a text or a plain number"),
        ("api_key = planted-secret", "can't be read: it is broken at line 1, column 11"),
        ("api_key = 'planted-secret", "can't be read: it is broken at end of document"),
        (f"port = {'9' * 5000}", "can't be read"),
        (f"port = {'[' * 100_000}", "can't be read"),
        ('data_dir = "a\\u0000b"', "AIMKEEPER_DATA_DIR is not UTF-8 text"),
    ],
    ids=[
        "a slip of the pen", "a table", "a list", "a date", "infinity", "not a number", "a number without end",
        "no quotes", "an open quote", "too many digits", "too deep", "a NUL",
    ],
)  # fmt: skip
def test_toml_that_makes_no_sense_is_refused_and_not_repeated(tmp_path, text, said):
    (tmp_path / "aimkeeper.toml").write_text(text)

    with pytest.raises(ConfigError) as caught:
        load({}, tmp_path)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "planted" not in str(caught.value)


# ------------------------------------------------------------ secrets


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_can_be_read_from_a_file(read, tmp_path, name):
    value = "sqlite:///a.db" if "DATABASE" in name else f"https://example.com/{KEY}" if "_URL" in name else KEY
    (tmp_path / "secret").write_text(f"\n {value}\n")
    along = {"AIMKEEPER_WEBHOOK_SECRET": KEY} if name == "AIMKEEPER_WEBHOOK_URL" else {}

    given, from_file = read(**{name: value}, **along), read(**{f"{name}_FILE": str(tmp_path / "secret")}, **along)

    assert from_file == given != Settings()


def test_a_file_may_be_named_in_env_and_toml_and_by_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "key").write_text(KEY)
    (tmp_path / ".env").write_text("CRON_SECRET_FILE=~/key\n")
    (tmp_path / "aimkeeper.toml").write_text("AIMKEEPER_API_KEY_FILE = '~/key'\n")

    loaded = load({}, tmp_path)

    assert (loaded.settings.cron_secret, loaded.settings.api_keys) == (KEY, (KEY,))
    assert loaded.sources["cron_secret"] == ".env (CRON_SECRET_FILE)"


def test_a_value_goes_before_a_file_in_the_same_place(read, tmp_path):
    assert read(CRON_SECRET="value", CRON_SECRET_FILE="/nowhere").cron_secret == "value"


def test_what_is_no_secret_is_not_read_from_a_file(read, tmp_path):
    (tmp_path / "port").write_text("81")

    assert read(AIMKEEPER_PORT_FILE=str(tmp_path / "port")).port == 8000


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "can't be read"), (b"", "empty file"), (b" \n", "empty file"), (b"\xff\xfe", "can't be read")],
    ids=["not there", "empty", "blank", "not text"],
)
def test_a_file_that_can_not_serve_is_named_with_its_variable(refused, tmp_path, content, said):
    if content is not None:
        (tmp_path / "secret").write_bytes(content)

    message = refused(CRON_SECRET_FILE=str(tmp_path / "secret"))

    assert message.startswith("CRON_SECRET_FILE ")
    assert said in message


@pytest.mark.parametrize("path", ["a\0b", "~nobody-of-that-name/key", "/"])
def test_a_file_name_that_is_none_is_refused_too(refused, path):
    assert "can't be read" in refused(CRON_SECRET_FILE=path)


def test_a_bad_secret_from_a_file_is_refused_by_the_files_variable_and_not_repeated(refused, tmp_path):
    (tmp_path / "secret").write_text("planted")

    message = refused(AIMKEEPER_API_KEY_FILE=str(tmp_path / "secret"))

    assert message.startswith("AIMKEEPER_API_KEY_FILE must be at least 16")
    assert "planted" not in message


@pytest.mark.parametrize("name", [name for name in SECRETS if "DATABASE" not in name])
def test_no_secret_shows_in_a_repr_or_a_listing(tmp_path, name):
    secret = "planted-secret-of-some-length"
    value = f"https://example.com/{secret}" if "_URL" in name else secret

    loaded = load({"AIMKEEPER_WEBHOOK_SECRET": KEY} | {name: value}, tmp_path)

    assert secret not in repr(loaded) + repr(loaded.settings) + str(loaded.settings)
    assert secret not in str(described(loaded))


def test_the_database_address_is_a_secret_too(tmp_path):
    loaded = load({"DATABASE_URL": "sqlite:///planted.db"}, tmp_path)

    assert "planted" not in repr(loaded) + str(described(loaded))


def test_a_refused_secret_is_not_repeated(refused):
    for variables in ({"AIMKEEPER_API_KEY": "planted"}, {"CRON_SECRET": "plantedñ"}, {"DATABASE_URL": "pg://planted"}):
        assert "planted" not in refused(**variables)


# ------------------------------------------------------------ anything at all


@hypothesis_settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text("ACDIKMPR_=.'\"[]{}#$\n\\ 19\u00f1", max_size=60).map(str.encode))
def test_any_content_of_any_file_gives_settings_or_a_config_error(tmp_path, content):
    secret = tmp_path / "secret"
    for path, variables in (
        (tmp_path / "aimkeeper.toml", {}),
        (tmp_path / ".env", {}),
        (secret, {"AIMKEEPER_API_KEY_FILE": str(secret)}),
    ):
        path.write_bytes(content)
        with suppress(ConfigError):
            assert isinstance(load(variables, tmp_path).settings, Settings)
        path.unlink()
