"""compose.yaml: PostgreSQL, two workers, one server; whatever it names exists."""

import re

import pytest

from aimkeeper.settings import Settings, load

from .conftest import SETTINGS, documents, invoked

VARIABLE = re.compile(r"\$\{(\w+)(?::([-?]))?[^}]*\}")
# What PostgreSQL's image reads, not we.
FOREIGN = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}


@pytest.fixture
def compose() -> dict:
    [found] = documents("compose.yaml")
    return found


def ours(compose) -> dict[str, dict]:
    return {name: service for name, service in compose["services"].items() if service.get("image") == "aimkeeper"}


def test_it_starts_two_workers_one_server_and_a_database(compose):
    calls = {name: invoked(service["command"]) for name, service in ours(compose).items()}

    assert {name: call.name for name, call in calls.items()} == {"worker": "worker", "server": "serve"}
    assert calls["server"].options["no_worker"]
    assert compose["services"]["worker"]["deploy"]["replicas"] == 2
    assert compose["services"]["database"]["image"].startswith("postgres:")


def test_each_answers_on_the_port_that_the_images_health_check_looks_at(root, compose):
    looked_at = int(re.search(r"127\.0\.0\.1:(\d+)/healthz", (root / "Dockerfile").read_text("utf-8"))[1])

    assert {invoked(service["command"]).port for service in ours(compose).values()} == {looked_at}
    assert compose["services"]["server"]["ports"] == [f"127.0.0.1:8000:{looked_at}"]


def test_every_variable_it_sets_is_a_setting(compose):
    named = {name for service in ours(compose).values() for name in service["environment"]}

    assert named <= SETTINGS
    assert set(compose["services"]["database"]["environment"]) == FOREIGN


def test_no_secret_has_a_default_and_what_must_be_set_is_named_at_its_head(root, compose):
    text = (root / "compose.yaml").read_text("utf-8")
    head = text.partition("\nname:")[0]
    asked = VARIABLE.findall(text)

    demanded = {name for name, way in asked if way == "?"}

    assert demanded == {"POSTGRES_PASSWORD", "AIMKEEPER_SECRET_KEYS", "AIMKEEPER_API_KEY"}
    assert all(f"#   {name}=" in head for name in demanded)
    assert {name for name, way in asked if way == "-"} <= SETTINGS


def test_an_optional_setting_left_empty_is_one_that_is_not_set(compose, tmp_path):
    server = ours(compose)["server"]["environment"]
    given = {name: VARIABLE.sub("", value) for name, value in server.items() if ":-}" in value}

    assert set(given.values()) == {""}
    assert load(given, tmp_path).settings == Settings()


def test_the_database_it_connects_to_is_the_one_it_starts(compose):
    url = ours(compose)["worker"]["environment"]["AIMKEEPER_DATABASE_URL"]
    database = compose["services"]["database"]["environment"]

    made = VARIABLE.sub("secret", url)

    assert made == f"postgresql://{database['POSTGRES_USER']}:secret@database:5432/{database['POSTGRES_DB']}"


def test_what_is_kept_outlives_the_containers_and_they_are_given_time_to_finish(root, compose):
    [folder] = re.findall(r"^VOLUME (\S+)$", (root / "Dockerfile").read_text("utf-8"), re.MULTILINE)

    for service in ours(compose).values():
        [volume] = service["volumes"]
        assert volume.partition(":")[0] in compose["volumes"]
        assert volume.partition(":")[2] == folder
        assert service["stop_grace_period"] == "60s"
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
