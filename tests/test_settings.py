"""Every setting: what it takes, where it comes from, and what is said when it makes no sense."""

import os
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import platformdirs
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aimkeeper import __version__
from aimkeeper.core.errors import ConfigError
from aimkeeper.settings import Settings, described, load

ALL = [(name, item.metadata["secret"]) for item in fields(Settings) for name in item.metadata["names"]]
SECRETS = [name for name, secret in ALL if secret]
KEY = "a-key-of-twenty-four-signs"

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))


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


# ------------------------------------------------------------ defaults


def test_without_any_setting_everything_has_a_default(read, tmp_path):
    settings = read()

    assert settings == Settings()
    assert (settings.refresh_every, settings.idle_timeout, settings.timeout) == (15 * MINUTE, 90 * MINUTE, 10 * SECOND)
    assert (settings.max_rate, settings.concurrency, settings.login_rate) == (20, 32, 1)
    assert (settings.on_session_end, settings.wipe_after, settings.heal_window) == ("delete", DAY, DAY)
    assert (settings.host, settings.port, settings.history_days, settings.log_format) == (
        "127.0.0.1",
        8000,
        30,
        "console",
    )
    assert (settings.aimharder_url, settings.aimharder_login_url) == (
        "https://aimharder.com",
        "https://login.aimharder.com",
    )
    assert settings.user_agent == f"aimkeeper/{__version__}"
    assert (settings.api_keys, settings.cron_secret, settings.secret_keys, settings.debug) == ((), None, None, False)
    assert load({}, tmp_path).sources == {}


def test_the_environment_is_the_process_s_own_and_the_folder_the_present_one(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, _ in ALL:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIMKEEPER_HOST", "10.0.0.1")
    (tmp_path / ".env").write_text("AIMKEEPER_PORT=81\n")

    settings = load().settings

    assert (settings.host, settings.port) == ("10.0.0.1", 81)


# ------------------------------------------------------------ values


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("AIMKEEPER_DATABASE_URL", "sqlite:////var/lib/a.db", "database_url", "sqlite:////var/lib/a.db"),
        ("DATABASE_URL", "sqlite:///a.db", "database_url", "sqlite:///a.db"),
        ("AIMKEEPER_DATA_DIR", "/var/lib/aimkeeper", "data_dir", Path("/var/lib/aimkeeper")),
        ("AIMKEEPER_DATA_DIR", "~/sessions", "data_dir", Path("~/sessions")),
        ("AIMKEEPER_DATA_DIR", "~/sessions", "data_folder", Path.home() / "sessions"),
        ("AIMKEEPER_SECRET_KEYS", "one,two", "secret_keys", "one,two"),
        ("AIMKEEPER_API_KEY", KEY, "api_keys", (KEY,)),
        ("AIMKEEPER_API_KEY", f" {KEY} ,{KEY}2,", "api_keys", (KEY, KEY + "2")),
        ("AIMKEEPER_API_KEY", "x" * 16, "api_keys", ("x" * 16,)),
        ("CRON_SECRET", "a secret of cron", "cron_secret", "a secret of cron"),
        ("AIMHARDER_URL", "http://localhost:8080/", "aimharder_url", "http://localhost:8080"),
        ("AIMHARDER_LOGIN_URL", "https://login.test/api/login", "aimharder_login_url", "https://login.test/api/login"),
        ("AIMHARDER_FINGERPRINT", "f" * 200, "fingerprint", "f" * 200),
        ("AIMKEEPER_UPSTREAM_PROXY", "http://a:b@proxy:3128", "upstream_proxy", "http://a:b@proxy:3128"),
        ("AIMKEEPER_USER_AGENT", "my bot", "user_agent", "my bot"),
        ("APP_URL", "HTTPS://keeper.example.com/base//", "app_url", "HTTPS://keeper.example.com/base"),
        ("DISCORD_WEBHOOK_URL", "https://a/b?c", "discord_webhook_url", "https://a/b?c"),
        ("AIMKEEPER_NOTIFY_URLS", "tgram://a/b, ntfy://c", "notify_urls", ("tgram://a/b", "ntfy://c")),
        ("AIMKEEPER_WEBHOOK_SECRET", "x" * 16, "webhook_secret", "x" * 16),
        ("AIMKEEPER_HEARTBEAT_URL", "https://a/b", "heartbeat_url", "https://a/b"),
        ("AIMKEEPER_REFRESH_EVERY", "20m", "refresh_every", 20 * MINUTE),
        ("AIMKEEPER_REFRESH_EVERY", "1s", "refresh_every", SECOND),
        ("AIMKEEPER_REFRESH_EVERY", "60m", "refresh_every", HOUR),
        ("TOKEN_BULK_UPDATE_INTERVAL_MINUTES", "1", "refresh_every", MINUTE),
        ("TOKEN_BULK_UPDATE_INTERVAL_MINUTES", "60", "refresh_every", HOUR),
        ("AIMKEEPER_IDLE_TIMEOUT", "90d", "idle_timeout", 90 * DAY),
        ("AIMKEEPER_UPSTREAM_TIMEOUT", "100ms", "upstream_timeout", timedelta(milliseconds=100)),
        ("AIMKEEPER_UPSTREAM_TIMEOUT", "2m", "upstream_timeout", 2 * MINUTE),
        ("AIMKEEPER_MAX_RATE", "0.1", "max_rate", 0.1),
        ("AIMKEEPER_MAX_RATE", "10000", "max_rate", 10_000),
        ("AIMKEEPER_CONCURRENCY", "1", "concurrency", 1),
        ("AIMKEEPER_CONCURRENCY", "2000", "concurrency", 2000),
        ("AIMKEEPER_LOGIN_RATE", "0.01", "login_rate", 0.01),
        ("AIMKEEPER_LOGIN_RATE", "100", "login_rate", 100),
        ("AIMKEEPER_ON_SESSION_END", "Expire", "on_session_end", "expire"),
        ("AIMKEEPER_WIPE_AFTER", "0", "wipe_after", timedelta(0)),
        ("AIMKEEPER_WIPE_AFTER", "90d", "wipe_after", 90 * DAY),
        ("AIMKEEPER_HEAL_WINDOW", "0", "heal_window", timedelta(0)),
        ("AIMKEEPER_HOST", "::1", "host", "::1"),
        ("AIMKEEPER_PORT", "0", "port", 0),
        ("AIMKEEPER_PORT", "65535", "port", 65_535),
        ("PORT", "0080", "port", 80),
        ("AIMKEEPER_HISTORY_DAYS", "3650", "history_days", 3650),
        ("AIMKEEPER_LOG_FORMAT", "JSON", "log_format", "json"),
        ("TOKEN_REFRESH_DEBUG", "TRUE", "debug", True),
        ("TOKEN_REFRESH_DEBUG", "on", "debug", True),
        ("TOKEN_REFRESH_DEBUG", "no", "debug", False),
    ],
)
def test_a_setting_takes(read, variable, text, field, value):
    assert getattr(read(**{variable: text}), field) == value


@pytest.mark.parametrize(
    ("variable", "text", "must"),
    [
        ("AIMKEEPER_DATABASE_URL", "mysql://localhost/db", "must be sqlite:///path"),
        ("AIMKEEPER_DATABASE_URL", "sqlite:///", "must be sqlite:///path"),
        ("AIMKEEPER_DATABASE_URL", "sqlite:///:memory:", "must be sqlite:///path"),
        ("DATABASE_URL", "sqlite:///~nobody-of-that-name/a.db", "home folder"),
        ("AIMKEEPER_DATA_DIR", "~nobody-of-that-name", "home folder"),
        ("AIMKEEPER_DATA_DIR", "a\0b", "is not UTF-8 text"),
        ("AIMKEEPER_API_KEY", "x" * 15, "at least 16 plain characters"),
        ("AIMKEEPER_API_KEY", f"{KEY},short", "at least 16 plain characters"),
        ("AIMKEEPER_API_KEY", ",", "at least 16 plain characters"),
        ("AIMKEEPER_API_KEY", "ñ" * 20, "must be plain characters"),
        ("AIMKEEPER_API_KEY", "x" * 16 + "\ty", "must be plain characters"),
        ("CRON_SECRET", "contraseña", "must be plain characters"),
        ("AIMHARDER_URL", "aimharder.com", "must be an http or https address"),
        ("AIMHARDER_URL", "ftp://aimharder.com", "must be an http or https address"),
        ("AIMHARDER_URL", "https://", "must be an http or https address"),
        ("AIMHARDER_URL", "https://host:port", "must be an http or https address"),
        ("AIMHARDER_URL", "https://host:99999", "must be an http or https address"),
        ("AIMHARDER_URL", "https://host:0", "must be an http or https address"),
        ("AIMHARDER_LOGIN_URL", "https://[::1", "must be an http or https address"),
        ("AIMHARDER_LOGIN_URL", "https://a b", "must be an http or https address"),
        ("AIMHARDER_LOGIN_URL", "https://a\nb", "must be an http or https address"),
        ("APP_URL", "https://user:secret@host", "without a password"),
        ("APP_URL", "https://host/?page=1", "must be an http or https address"),
        ("APP_URL", "https://host/#top", "must be an http or https address"),
        ("AIMHARDER_FINGERPRINT", "f" * 201, "1 to 200 plain characters"),
        ("AIMHARDER_FINGERPRINT", "with space", "1 to 200 plain characters"),
        ("AIMKEEPER_REFRESH_EVERY", "999ms", "from 1s to 60m"),
        ("AIMKEEPER_REFRESH_EVERY", "61m", "from 1s to 60m"),
        ("AIMKEEPER_REFRESH_EVERY", "soon", "must be a duration like 90s, 15m or 1h30m"),
        ("TOKEN_BULK_UPDATE_INTERVAL_MINUTES", "0", "whole number from 1 to 60"),
        ("TOKEN_BULK_UPDATE_INTERVAL_MINUTES", "61", "whole number from 1 to 60"),
        ("TOKEN_BULK_UPDATE_INTERVAL_MINUTES", "²", "whole number from 1 to 60"),
        ("TOKEN_BULK_UPDATE_INTERVAL_MINUTES", "9" * 5000, "whole number from 1 to 60"),
        ("AIMKEEPER_IDLE_TIMEOUT", "1s", "from 2s to 90d"),
        ("AIMKEEPER_IDLE_TIMEOUT", "91d", "from 2s to 90d"),
        ("AIMKEEPER_IDLE_TIMEOUT", "9" * 400 + "d", "is too long"),
        ("AIMKEEPER_IDLE_TIMEOUT", "9999999999d", "is too long"),
        ("AIMKEEPER_IDLE_TIMEOUT", "\u0669m", "must be a duration"),
        ("AIMKEEPER_UPSTREAM_TIMEOUT", "99ms", "from 100ms to 2m"),
        ("AIMKEEPER_UPSTREAM_TIMEOUT", "121s", "from 100ms to 2m"),
        ("AIMKEEPER_MAX_RATE", "0.09", "number from 0.1 to 10000"),
        ("AIMKEEPER_MAX_RATE", "10001", "number from 0.1 to 10000"),
        ("AIMKEEPER_MAX_RATE", "nan", "number from 0.1 to 10000"),
        ("AIMKEEPER_MAX_RATE", "inf", "number from 0.1 to 10000"),
        ("AIMKEEPER_MAX_RATE", "1_0", "number from 0.1 to 10000"),
        ("AIMKEEPER_MAX_RATE", "٢", "number from 0.1 to 10000"),
        ("AIMKEEPER_MAX_RATE", "9" * 5000, "number from 0.1 to 10000"),
        ("AIMKEEPER_CONCURRENCY", "0", "whole number from 1 to 2000"),
        ("AIMKEEPER_CONCURRENCY", "2001", "whole number from 1 to 2000"),
        ("AIMKEEPER_CONCURRENCY", "-1", "whole number from 1 to 2000"),
        ("AIMKEEPER_CONCURRENCY", "1.5", "whole number from 1 to 2000"),
        ("AIMKEEPER_CONCURRENCY", "9" * 5000, "whole number from 1 to 2000"),
        ("AIMKEEPER_CONCURRENCY", "٣", "whole number from 1 to 2000"),
        ("AIMKEEPER_LOGIN_RATE", "0.009", "number from 0.01 to 100"),
        ("AIMKEEPER_LOGIN_RATE", "101", "number from 0.01 to 100"),
        ("AIMKEEPER_ON_SESSION_END", "keep", "must be delete or expire"),
        ("AIMKEEPER_WIPE_AFTER", "91d", "from 0 to 90d"),
        ("AIMKEEPER_HEAL_WINDOW", "91d", "from 0 to 90d"),
        ("AIMKEEPER_PORT", "65536", "whole number from 0 to 65535"),
        ("PORT", "http", "whole number from 0 to 65535"),
        ("AIMKEEPER_HISTORY_DAYS", "0", "whole number from 1 to 3650"),
        ("AIMKEEPER_HISTORY_DAYS", "3651", "whole number from 1 to 3650"),
        ("AIMKEEPER_LOG_FORMAT", "xml", "must be console or json"),
        ("TOKEN_REFRESH_DEBUG", "perhaps", "must be true or false"),
        ("AIMKEEPER_HOST", "bad\udcff", "is not UTF-8 text"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_in_one_sentence_that_names_the_variable(refused, variable, text, must):
    said = refused(**{variable: text})

    assert said.startswith(f"{variable} ")
    assert must in said


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AIMKEEPER_REFRESH_EVERY": "30m", "AIMKEEPER_IDLE_TIMEOUT": "30m"}, ["must be below", "30m"]),
        ({"AIMKEEPER_REFRESH_EVERY": "31m", "AIMKEEPER_IDLE_TIMEOUT": "30m"}, ["must be below", "31m", "30m"]),
        ({"AIMKEEPER_REFRESH_EVERY": "30m", "AIMKEEPER_IDLE_TIMEOUT": "1800.3s"}, ["too close", "30m0.3s"]),
    ],
    ids=["as long as the idle timeout", "longer than it", "hardly shorter"],
)
def test_sessions_are_rotated_before_they_die_or_not_at_all(refused, variables, words):
    said = refused(**variables)

    assert "AIMKEEPER_REFRESH_EVERY" in said
    assert "AIMKEEPER_IDLE_TIMEOUT" in said
    assert all(word in said for word in words)


@pytest.mark.parametrize(
    ("variables", "timeout"),
    [
        ({}, 10 * SECOND),
        ({"AIMKEEPER_REFRESH_EVERY": "4s", "AIMKEEPER_IDLE_TIMEOUT": "15s"}, 2.75 * SECOND),
        ({"AIMKEEPER_UPSTREAM_TIMEOUT": "30s"}, 30 * SECOND),
        (
            {"AIMKEEPER_REFRESH_EVERY": "4s", "AIMKEEPER_IDLE_TIMEOUT": "14s", "AIMKEEPER_UPSTREAM_TIMEOUT": "2.5s"},
            2.5 * SECOND,
        ),
    ],
    ids=["as it is", "capped", "by hand", "by hand, as much as there is"],
)
def test_several_tries_fit_between_due_time_and_deadline(read, variables, timeout):
    assert read(**variables).timeout == timeout


def test_a_timeout_set_by_hand_is_refused_where_not_enough_tries_would_fit(refused):
    said = refused(AIMKEEPER_REFRESH_EVERY="4s", AIMKEEPER_IDLE_TIMEOUT="14s", AIMKEEPER_UPSTREAM_TIMEOUT="2.6s")

    assert said.startswith("AIMKEEPER_UPSTREAM_TIMEOUT (2.6s) must be at most 2.5s")


# ------------------------------------------------------------ where the data lies


def test_the_database_lies_in_the_data_folder_unless_told_otherwise(read):
    assert read(AIMKEEPER_DATA_DIR="/data").database_path == Path("/data/aimkeeper.db")
    assert read(AIMKEEPER_DATA_DIR="/data", DATABASE_URL="sqlite:///here.db").database_path == Path("here.db")
    assert read(DATABASE_URL="sqlite:////there/a.db").database_path == Path("/there/a.db")
    assert read(DATABASE_URL="sqlite:///~/a.db").database_path == Path.home() / "a.db"


def test_the_data_folder_is_the_platforms_unless_told_otherwise(read):
    assert read().data_folder == Path(platformdirs.user_data_dir("aimkeeper"))
    assert Settings(data_dir=Path("~/x")).data_folder == Path.home() / "x"


# ------------------------------------------------------------ for people


def test_every_setting_is_described_with_value_source_and_meaning(tmp_path):
    loaded = load({"AIMKEEPER_API_KEY": KEY, "PORT": "81", "TOKEN_REFRESH_DEBUG": "yes"}, tmp_path)

    told = {item["name"]: item for item in described(loaded)}

    assert list(told) == [item.metadata["names"][0] for item in fields(Settings)]
    assert all(item["about"].endswith(".") or item["about"][-1].isalnum() for item in told.values())
    assert told["AIMKEEPER_PORT"] | {"about": ""} == {
        "name": "AIMKEEPER_PORT",
        "value": "81",
        "source": "environment (PORT)",
        "about": "",
    }
    assert (told["AIMKEEPER_API_KEY"]["value"], told["AIMKEEPER_API_KEY"]["source"]) == (
        "(hidden)",
        "environment (AIMKEEPER_API_KEY)",
    )
    assert (told["CRON_SECRET"]["value"], told["CRON_SECRET"]["source"]) == ("-", "default")
    assert told["AIMKEEPER_REFRESH_EVERY"]["value"] == "15m"
    assert told["AIMKEEPER_IDLE_TIMEOUT"]["value"] == "1h30m"
    assert told["TOKEN_REFRESH_DEBUG"]["value"] == "true"


# ------------------------------------------------------------ anything at all

PIECES = st.sampled_from([
    "http://", "https://", "sqlite:///", "~", "1e999", "nan", "inf", "15", "m", "ms", "s", "h", "d", ".", ":", "/",
    "[", "]", "@", ",", "%", "true", "\u00b2", "\u0663", "\u2100", "\udcff", " ", "\n", "\0", "9" * 400,
    "9" * 5000, "x" * 20,
])  # fmt: skip
ANYTHING = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=6).map("".join), st.integers().map(str))


@hypothesis_settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([name for name, _ in ALL]), text=ANYTHING)
@example("AIMKEEPER_IDLE_TIMEOUT", "9" * 5000 + "ms")
@example("AIMHARDER_URL", "http://\u2100")
@example("AIMHARDER_URL", "https://[v1.x]")
def test_any_text_for_any_variable_gives_a_value_or_a_config_error(tmp_path, name, text):
    try:
        loaded = load({name: text}, tmp_path)
    except ConfigError as error:
        said = str(error)
        assert name in said
        assert said.endswith(".")
        assert "\n" not in said
    else:
        settings = loaded.settings
        assert described(loaded)
        assert settings.database_path
        assert settings.timeout > timedelta(0)
        repr(loaded).encode()
        os.fsencode(settings.data_folder)


def test_a_variable_that_looks_like_a_setting_and_is_none_is_told_with_what_it_may_mean(tmp_path):
    (tmp_path / ".env").write_text("AIMKEEPER_NOTHING_LIKE_IT=1\n")
    environ = {
        "AIMKEEPER_API_KEYS": "planted-secret-key",
        "AIMKEEPER_PORT_FILE": "",
        "AIMKEEPER_CREDENTIALS_URL": "http://127.0.0.1:1/credentials",
        "PATH": "/bin",
    }

    told = load(environ, tmp_path).strangers

    assert told == (
        "AIMKEEPER_API_KEYS, in environment, is no setting (did you mean AIMKEEPER_API_KEY?); it changes nothing.",
        "AIMKEEPER_NOTHING_LIKE_IT, in .env, is no setting; it changes nothing.",
    )


def test_a_webhook_without_a_secret_is_refused_with_the_way_out():
    with pytest.raises(
        ConfigError, match=r"^AIMKEEPER_WEBHOOK_SECRET must be set with AIMKEEPER_WEBHOOK_URL: .*keys new"
    ):
        load({"AIMKEEPER_WEBHOOK_URL": "https://a/b"}, Path("/nowhere"))
