"""How the settings choose the shared store, and where its files on this machine stand."""

from pathlib import Path

import pytest

from aimkeeper.core.errors import ConfigError
from aimkeeper.settings import described, load

URL = "postgresql://ana:s3cret@db.example.com:6543/app"
KEYS = "k" * 43


def read(folder, **environ):
    return load(environ, folder)


@pytest.mark.parametrize("name", ["AIMKEEPER_DATABASE_URL", "DATABASE_URL"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_postgresql_address_chooses_the_shared_store(tmp_path, name, scheme):
    settings = read(tmp_path, **{name: URL.replace("postgresql", scheme), "AIMKEEPER_SECRET_KEYS": KEYS}).settings

    assert str(settings.postgres) == "database app at db.example.com:6543"
    assert settings.postgres.password == "s3cret"


def test_without_one_the_store_is_embedded(tmp_path):
    assert read(tmp_path).settings.postgres is None
    assert read(tmp_path, DATABASE_URL="sqlite:///a.db").settings.postgres is None


def test_its_keys_must_be_set_for_no_machine_may_make_its_own(tmp_path):
    with pytest.raises(ConfigError, match=r"AIMKEEPER_SECRET_KEYS must be set with PostgreSQL.*aimkeeper keys new"):
        read(tmp_path, DATABASE_URL=URL)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql+psycopg2://ana:s3cret@host/app", "without jdbc: or a driver's name"),
        ("jdbc:postgresql://host/app?password=s3cret", "without jdbc: or a driver's name"),
        ("host=host password=s3cret", "must be sqlite:///path, or postgresql://"),
        ("mysql://ana:s3cret@host/app", "must be sqlite:///path, or postgresql://"),
        ("postgresql://ana:s3cret@host", "must name the database"),
    ],
)
def test_what_is_no_address_stops_the_program_with_the_variable_s_name_and_no_secret(tmp_path, url, sentence):
    with pytest.raises(ConfigError, match=f"^DATABASE_URL .*{sentence}") as caught:
        read(tmp_path, DATABASE_URL=url, AIMKEEPER_SECRET_KEYS=KEYS)

    assert "s3cret" not in str(caught.value)


def test_neither_settings_nor_their_list_show_the_address(tmp_path):
    loaded = read(tmp_path, DATABASE_URL=URL, AIMKEEPER_SECRET_KEYS=KEYS)

    shown = repr(loaded.settings) + str(described(loaded))
    assert "s3cret" not in shown
    assert "ana" not in repr(loaded.settings.postgres)


def test_the_address_may_stand_in_a_file(tmp_path):
    (tmp_path / "url").write_text(URL + "\n")

    loaded = read(tmp_path, DATABASE_URL_FILE=str(tmp_path / "url"), AIMKEEPER_SECRET_KEYS=KEYS)

    assert loaded.settings.postgres.host == "db.example.com"
    assert loaded.sources["database_url"] == "environment (DATABASE_URL_FILE)"


def test_each_database_s_files_on_this_machine_have_a_place_of_their_own(tmp_path):
    urls = [URL, URL.replace("app", "other"), URL.replace("6543", "5432"), "postgresql:///app?host=/var/run/postgresql"]

    places = [
        read(tmp_path, DATABASE_URL=url, AIMKEEPER_SECRET_KEYS=KEYS, AIMKEEPER_DATA_DIR="/data").settings.database_path
        for url in urls
    ]

    assert places[0] == Path("/data/db.example.com-6543-app")
    assert places[3] == Path("/data/var-run-postgresql-5432-app")
    assert len(set(places)) == len(urls)
    assert {place.parent for place in places} == {Path("/data")}
