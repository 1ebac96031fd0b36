"""The terms on which the HTTP API is open, as the settings have them; and the taps that count in memory."""

from datetime import timedelta

import pytest

from aimkeeper.core.errors import ConfigError
from aimkeeper.serving import operator_keys, terms_of
from aimkeeper.settings import Settings, described, load
from aimkeeper.testing import ManualClock
from aimkeeper.web import taps
from aimkeeper.web.taps import Tap
from aimkeeper.web.terms import Terms


def read(tmp_path, **variables):
    return load(variables, tmp_path)


def test_without_any_setting_everything_is_closed(tmp_path):
    assert terms_of(read(tmp_path).settings) == Terms()
    assert Terms() == Terms(
        public_login=False,
        public_remember=False,
        refresh_threshold=timedelta(minutes=60),
        trusted_proxies=(),
        allowed_hosts=(),
        cors_origins=(),
    )


def test_every_term_has_its_setting(tmp_path):
    loaded = read(
        tmp_path,
        AIMKEEPER_PUBLIC_LOGIN="true",
        AIMKEEPER_PUBLIC_REMEMBER="yes",
        AIMKEEPER_TRUSTED_PROXIES="10.0.0.1, 192.168.0.0/16,::1",
        AIMKEEPER_ALLOWED_HOSTS="Keeper.example.com,*.apps.example.com, [::1]",
        AIMKEEPER_CORS_ORIGINS="https://App.example.com/, http://localhost:3000",
        TOKEN_REFRESH_THRESHOLD_MINUTES="30",
    )

    assert terms_of(loaded.settings) == Terms(
        public_login=True,
        public_remember=True,
        refresh_threshold=timedelta(minutes=30),
        trusted_proxies=("10.0.0.1/32", "192.168.0.0/16", "::1/128"),
        allowed_hosts=("keeper.example.com", "*.apps.example.com", "::1"),
        cors_origins=("https://app.example.com", "http://localhost:3000"),
    )
    shown = {item["name"]: item["value"] for item in described(loaded)}
    assert shown["AIMKEEPER_CORS_ORIGINS"] == "https://app.example.com, http://localhost:3000"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIMKEEPER_TRUSTED_PROXIES", "nginx"),
        ("AIMKEEPER_TRUSTED_PROXIES", "10.0.0.1, 10.0.0.300"),
        ("AIMKEEPER_TRUSTED_PROXIES", ","),
        ("AIMKEEPER_ALLOWED_HOSTS", "*"),
        ("AIMKEEPER_ALLOWED_HOSTS", "https://keeper.example.com"),
        ("AIMKEEPER_ALLOWED_HOSTS", "keeper.example.com:8000"),
        ("AIMKEEPER_ALLOWED_HOSTS", "a.*.example.com"),
        ("AIMKEEPER_CORS_ORIGINS", "*"),
        ("AIMKEEPER_CORS_ORIGINS", "app.example.com"),
        ("AIMKEEPER_CORS_ORIGINS", "https://app.example.com/path"),
        ("AIMKEEPER_CORS_ORIGINS", "null"),
        ("TOKEN_REFRESH_THRESHOLD_MINUTES", "4"),
        ("TOKEN_REFRESH_THRESHOLD_MINUTES", "121"),
        ("AIMKEEPER_PUBLIC_LOGIN", "perhaps"),
    ],
)
def test_a_value_that_makes_no_sense_names_its_variable(tmp_path, name, value):
    with pytest.raises(ConfigError, match=rf"^{name} must be .+\.$") as caught:
        read(tmp_path, **{name: value})

    assert "\n" not in str(caught.value)


def test_beside_a_shared_database_no_operator_s_key_is_made(tmp_path):
    settings = Settings(
        data_dir=tmp_path,
        database_url="postgresql://user:secret@db.example.com/aimkeeper",
        secret_keys="x" * 43,
    )

    assert operator_keys(settings) == ()
    assert list(tmp_path.rglob("*.key")) == []


# ---------------------------------------------------------------- taps


def test_a_tap_gives_so_many_at_once_and_fills_up_again():
    clock = ManualClock()
    tap = Tap(clock, 3, 60.0)
    for _ in range(3):
        assert tap.wait("a") == 0
        tap.draw("a")

    empty = tap.wait("a")
    clock.advance(19)
    nearly = tap.wait("a")
    clock.advance(1)

    assert (round(empty), round(nearly), tap.wait("a"), tap.wait("b")) == (20, 1, 0, 0)
    clock.advance(3600)
    for _ in range(3):
        tap.draw("a")
    assert round(tap.wait("a")) == 20


def test_a_tap_forgets_those_who_were_quiet_long_enough(monkeypatch):
    monkeypatch.setattr(taps, "MOST_NAMES", 10)
    clock = ManualClock()
    tap = Tap(clock, 3, 60.0)
    for number in range(10):
        tap.draw(f"early {number}")
    clock.advance(60)

    for number in range(200):
        tap.draw(f"late {number}")

    assert not [name for name in tap._levels if name.startswith("early")]
    assert len(tap._levels) == 200
    assert tap.wait("late 0") == 0
