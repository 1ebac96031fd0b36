"""The description of the API: whole, with examples that are true; and thousands of requests made up from it."""

import itertools

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from aimkeeper.web import shapes
from aimkeeper.web.app import ROUTES
from aimkeeper.web.described import described as described_session
from aimkeeper.web.docs import description_of, failures_of

WHO = ("operator", "operator", "member", "nobody")
TOLD = [
    (f"{method} {path}", route.opt["told"])
    for route in ROUTES
    if "told" in route.opt
    for path in sorted(route.paths)
    for method in route.http_methods
    if method != "OPTIONS"
]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


# ---------------------------------------------------------------- the description


@pytest.fixture
def described(house):
    return description_of(house.app())


def operations(described):
    return {
        f"{method.upper()} {path}": operation
        for path, item in described["paths"].items()
        for method, operation in item.items()
    }


def test_it_is_openapi_3_1_and_describes_every_route_for_programs(described):
    assert described["openapi"].startswith("3.1.")
    assert set(operations(described)) == {name.replace(":str}", "}") for name, _ in TOLD}
    assert all(operation["summary"] and operation["description"] for operation in operations(described).values())


@pytest.mark.parametrize(("name", "about"), TOLD, ids=[name for name, _ in TOLD])
def test_every_example_is_one_of_what_it_is_an_example_of(name, about):
    def fits(example, kind):
        try:
            return msgspec.to_builtins(msgspec.convert(example, kind)) is not None
        except msgspec.ValidationError:
            return False

    assert any(fits(about.example, kind) for kind in about.answers)
    if about.body is not None:
        assert fits(about.given, about.body)


def test_every_failure_is_told_with_one_sentence_and_a_code(described):
    for name, operation in operations(described).items():
        for status, answer in operation["responses"].items():
            if int(status) < 400:
                continue
            assert answer["description"], (name, status)
            assert "application/json" in answer["content"]


def test_whatever_asks_for_a_key_says_which(described):
    wanted = {name.replace(":str}", "}"): {role.value for role in about.who} for name, about in TOLD}

    for name, operation in operations(described).items():
        alternatives = [set(way) - {"csrf"} for way in operation["security"]]
        told = {next(iter(way), None) for way in alternatives}
        assert told == {None if role in ("anyone", "loopback") else role for role in wanted[name]}, name
        by_cookie = [way for way in operation["security"] if {"page", "member"} & set(way)]
        assert all(("csrf" in way) is not name.startswith("GET") for way in by_cookie), name


def test_no_reference_leads_nowhere(described):
    text = msgspec.json.encode(described).decode()
    wanted = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}

    assert wanted <= set(described["components"]["schemas"])
    assert "Failed" in wanted


async def test_a_session_is_described_with_every_field_it_is_told_with(house):
    session = await house.log_in()

    assert set(described_session(session)) == set(shapes.Described.__struct_fields__)


# ---------------------------------------------------------------- made-up requests


@pytest.fixture(scope="module")
def schema(site):
    return schemathesis.openapi.from_url(f"{site.url}/openapi.json")


# So many requests for each that takes anything: parameters, a body, a name in its address. The others are soon tried.
EXAMPLES = 110
TAKE_NOTHING = 12


def takes_anything(schema, name):
    path, method = name.partition(" ")[2], name.partition(" ")[0].lower()
    operation = schema.raw_schema["paths"][path][method]
    return bool(operation.get("parameters") or operation.get("requestBody"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name.replace(":str}", "}") for name, _ in TOLD])
def test_no_made_up_request_brings_a_fault_or_a_status_nobody_told_of(site, schema, name):
    operation = next(found.ok() for found in schema.get_all_operations() if found.ok().label == name)
    wanted = EXAMPLES if takes_anything(schema, name) else TAKE_NOTHING
    count = itertools.count()
    strategies = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]
    operator, member = site.operator, site.member()
    by = {"operator": operator, "member": member, "nobody": {}}

    with httpx.Client(base_url=site.url) as client:

        @settings(
            max_examples=wanted,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(strategies), who=st.sampled_from(WHO), _salt=st.integers(0, 2**32))
        def ask(case, who, _salt):
            number = next(count)
            if "session_id" in (case.path_parameters or {}) and number % 2:
                case.path_parameters["session_id"] = site.session(1 + number % 3)
            if number % 5 == 0 and "auth" in name:
                by["member"] = site.member()  # the last one may have logged himself out
            answer = case.call(headers={**(case.headers or {}), **by[who]})
            case.validate_response(answer, checks=CHECKS)
            if name == "POST /api/pause":
                client.post("/api/resume", headers=operator)

        ask()

    assert site.faults == []
    assert next(count) >= wanted


@pytest.mark.slow
def test_the_made_up_requests_are_more_than_two_thousand(schema):
    names = [name.replace(":str}", "}") for name, _ in TOLD]

    assert sum(EXAMPLES if takes_anything(schema, name) else TAKE_NOTHING for name in names) > 2000


def test_a_status_nobody_told_of_would_be_noticed(house):
    told = dict(TOLD)["GET /api/status"]

    assert 418 not in failures_of(told)
    assert {400, 401, 403, 500, 503} <= set(failures_of(told))


async def test_logging_in_and_all_that_follows_is_as_described(house):
    """The same by hand, for what nobody makes up: a right password, and a session's whole life."""
    session = await house.log_in()
    described = description_of(house.app())
    member = await house.member(session)
    asked = [
        ("POST", "/api/auth/login", {"json": {"email": "ana@example.com", "password": "correct horse"}}),
        ("GET", "/api/auth/session", {"headers": member}),
        ("GET", "/api/auth/refresh", {"headers": member}),
        ("POST", "/api/auth/refresh", {"headers": member}),
        ("POST", "/api/auth/logout", {"headers": member}),
    ]

    for method, path, what in asked:
        by = house.operator if "headers" not in what else None
        answer = await house.ask(method, path, by=by, **what)
        about = next(told for name, told in TOLD if name == f"{method} {path}")
        assert str(answer.status_code) in described["paths"][path][method.lower()]["responses"]
        assert answer.status_code == about.status, answer.text
        msgspec.convert(answer.json(), about.answers[0])
