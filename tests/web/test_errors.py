"""Errors as answers: a sentence and a stable code; never a stack, never a secret."""

import logging
from datetime import timedelta

import pytest

from aimkeeper.core import errors
from aimkeeper.telemetry import set_up_logs
from aimkeeper.web.errors import status_of


async def raising(house, monkeypatch, error):
    async def fail(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(house.service.store, "page", fail)
    return await house.ask("GET", "/api/sessions", by=house.operator)


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (errors.StoreUnavailable("away."), 503, "5"),
        (errors.UpstreamUnavailable("away.", retry_after=timedelta(seconds=7.2)), 503, "8"),
        (errors.RateLimited("slower.", retry_after=timedelta(0)), 429, "1"),
        (errors.RateLimited("slower.", retry_after=timedelta(minutes=15)), 429, "900"),
        (errors.UnknownSession("none."), 404, None),
        (errors.Superseded("late."), 503, "5"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_an_error_is_told_with_its_code_and_when_to_come_again(house, monkeypatch, error, status, retry_after):
    answer = await raising(house, monkeypatch, error)

    assert (answer.status_code, status_of(error)) == (status, status)
    assert answer.json() == {"success": False, "error": str(error), "code": error.code}
    assert answer.headers.get("retry-after") == retry_after


async def test_an_account_locked_out_at_the_site_is_told_in_the_words_of_the_original_too(house, monkeypatch):
    locked = errors.LockedOut("wait 15 minutes.", retry_after=timedelta(minutes=14.2))

    answer = await raising(house, monkeypatch, locked)

    told = answer.json()
    assert (answer.status_code, answer.headers["retry-after"], told["code"]) == (429, "852", "locked_out")
    assert (told["rateLimited"], told["minutesRemaining"]) == (True, 15)


async def test_a_fault_of_ours_is_one_sentence_to_the_caller_and_a_place_in_the_log(house, monkeypatch, capsys):
    set_up_logs(as_json=True)
    secret = "69232|1893456000|" + "a" * 32

    answer = await raising(house, monkeypatch, ZeroDivisionError(f"with {secret} inside"))

    logged = capsys.readouterr().err
    assert answer.status_code == 500
    assert answer.json() == {
        "success": False,
        "error": "something went wrong inside aimkeeper; its log says where.",
        "code": "fault",
    }
    assert '"kind": "ZeroDivisionError"' in logged
    assert "test_errors.py:" in logged
    assert "inside" not in logged
    logging.getLogger().handlers.clear()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "not_found"),
        ("DELETE", "/api/tokenUpdate", 405, "method_not_allowed"),
        ("PUT", "/api/cron/refresh-tokens", 405, "method_not_allowed"),
        ("GET", "/api/cron/refresh-tokens", 405, "method_not_allowed"),
        ("GET", "/%ff%fe", 404, "not_found"),
    ],
)
async def test_what_is_not_there_is_told_as_json_too(house, method, path, status, code):
    answer = await house.ask(method, path)

    told = answer.json()
    assert (answer.status_code, told["success"], told["code"]) == (status, False, code)
    assert "/docs" in told["error"]
