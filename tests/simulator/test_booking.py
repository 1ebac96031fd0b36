"""The booking desk of the simulated boxes: what a bot is told, and what is really booked."""

import json
from urllib.parse import urlencode

import pytest

from aimkeeper.simulator import Rules, Timetable

BOX, DAY = "box.aimharder.com", "20260101"
MORNING, EVENING, NIGHT = (2026010101 + number for number in range(3))  # at 07:00, 18:00, 19:00; the clock says 12:00


class Member:
    """Somebody with a session, at a box."""

    def __init__(self, caller, grant, host=BOX):
        self._caller = caller
        self._headers = [("host", host), ("cookie", f"PHPSESSID=x; amhrdrauth={grant.cookies['amhrdrauth']}")]

    async def bookings(self, day=DAY):
        return (await self._caller.ask("GET", f"/api/bookings?day={day}&box=9283", headers=self._headers)).json()

    async def book(self, slot=EVENING, *, day=DAY, insist=0):
        return await self._post("/api/book", id=slot, day=day, insist=insist, familyId="")

    async def cancel(self, reservation, *, late=0):
        return await self._post("/api/cancelBook", id=reservation, late=late, familyId="")

    async def own(self):
        """The classes that are shown as one's own."""
        return {
            shown["id"]: (shown["bookState"], shown["idres"])
            for shown in (await self.bookings())["bookings"]
            if "idres" in shown
        }

    async def _post(self, path, **form):
        answer = await self._caller.ask("POST", path, body=urlencode(form).encode(), headers=self._headers)
        assert answer.status == 200
        return answer.json()


@pytest.fixture
def member(caller, grant):
    return Member(caller, grant)


@pytest.fixture
def another(sim, caller):
    def come(email="berta@example.com", host=BOX):
        return Member(caller, sim.open_session(email, "b" * 50), host)

    return come


def really_booked(sim):
    return [(one.email, one.slot) for one in sim.reservations() if not one.cancelled_at and not one.waiting]


# ---------------------------------------------------------------- the schedule


async def test_the_schedule_has_the_recorded_shape(member):
    told = await member.bookings()

    assert set(told) == {"clasesDisp", "timetable", "day", "bookings", "seminars"}
    assert told["timetable"][1] == {"id": "1800_60", "time": "18:00 - 19:00"}
    assert told["day"] == DAY
    assert set(told["bookings"][0]) == {
        *("id", "time", "timeid", "classId", "className", "limit", "limitc", "ocupation", "waitlist", "enabled")
    }


async def test_a_day_left_out_is_today_and_what_is_no_day_has_no_classes(member):
    assert (await member.bookings(day=""))["day"] == DAY
    assert (await member.bookings(day="tomorrow"))["bookings"] == []


async def test_a_stranger_sees_the_schedule_without_anything_of_his_own(caller, member):
    await member.book()

    public = (await caller.ask("GET", f"/api/bookings?day={DAY}", headers=[("host", BOX)])).json()["bookings"]

    assert [shown["ocupation"] for shown in public] == [0, 1, 0]
    assert not any("idres" in shown or "bookState" in shown for shown in public)


# ---------------------------------------------------------------- booking


async def test_what_is_booked_is_shown_as_ones_own_and_is_true(sim, member, email, clock):
    answer = await member.book()

    [made] = sim.reservations(email)
    assert answer == {"bookState": 1, "id": made.number}
    assert (made.host, made.day, made.slot, made.time, made.made_at) == (BOX, DAY, EVENING, "18:00", clock.now())
    assert await member.own() == {EVENING: (1, made.number)}


async def test_each_box_has_its_own_places(sim, caller, grant, member, another):
    sim.timetable = Timetable(limit=1)
    await member.book()

    there = await another(host="other.aimharder.com").book()

    assert there["bookState"] == 1
    assert {one.host for one in sim.reservations()} == {BOX, "other.aimharder.com"}


@pytest.mark.parametrize(
    ("timetable", "standing", "slot", "told"),
    [
        (Timetable(), {}, MORNING, (-7, "ERROR_SIMULATED_TOO_LATE")),
        (Timetable(opens_before=3600), {}, EVENING, (-4, "ERROR_SIMULATED_TOO_EARLY")),
        (Timetable(opens_before=3600, early_answer="-12"), {}, EVENING, (-12, "ERROR_ANTELACION_CLIENTE_HORAS")),
        (Timetable(), {"owes": True}, EVENING, (-5, "ERROR_SIMULATED_PAYMENT_PENDING")),
        (Timetable(), {"credit": 0}, EVENING, (-2, "ERROR_SIMULATED_NO_CREDIT")),
        (Timetable(limit=0), {}, EVENING, (-1, "ERROR_SIMULATED_FULL")),
        (Timetable(), {}, 4711, (-12, "ERROR_SIMULATED_NO_SUCH_CLASS")),
    ],
    ids=["has begun", "too early", "too early, told with a reason", "payment pending", "no credit", "full", "no class"],
)
async def test_who_gets_no_place_is_told_why_and_has_none(*, sim, member, email, timetable, standing, slot, told):
    sim.timetable = timetable
    sim.set_standing(email, **standing)

    answer = await member.book(slot)

    assert (answer["bookState"], answer["errorMssgLang"]) == told
    assert answer["errorMssg"]
    assert "id" not in answer
    assert sim.reservations() == []


async def test_a_place_opens_when_its_time_has_come(sim, member, clock):
    sim.rules = Rules(idle_life=24 * 3600)
    sim.timetable = Timetable(opens_before=3600)
    clock.advance(5 * 3600)

    assert (await member.book())["bookState"] == 1


async def test_nobody_is_in_two_classes_at_the_same_hour(member):
    await member.book()

    again = await member.book()

    assert (again["bookState"], again["errorMssgLang"]) == (-12, "NOPUEDESRESERVAMISMAHORA")


async def test_the_daily_maximum_is_told_with_its_number(sim, member):
    sim.timetable = Timetable(daily_maximum=1)
    await member.book()

    second = await member.book(NIGHT)

    assert (second["bookState"], second["max"]) == (-8, 1)


async def test_credit_is_spent_by_a_booking_and_comes_back_when_it_is_cancelled(sim, member, email):
    sim.set_standing(email, credit=1)

    first = await member.book()
    spent = await member.bookings()
    second = await member.book(NIGHT)
    await member.cancel(first["id"])

    assert (spent["clasesDisp"], second["bookState"]) == ("0", -2)
    assert (await member.bookings())["clasesDisp"] == "1"


async def test_who_insists_on_a_full_class_waits_and_gets_the_place_that_becomes_free(sim, member, another):
    sim.timetable = Timetable(limit=1)
    berta = another()
    mine = await member.book()

    refused, waiting = await berta.book(), await berta.book(insist=1)
    [shown] = [shown for shown in (await berta.bookings())["bookings"] if shown["id"] == EVENING]
    await member.cancel(mine["id"])

    assert refused["bookState"] == -1
    assert waiting["bookState"] == 0
    assert (shown["bookState"], shown["ocupation"], shown["waitlist"]) == (0, 1, 1)
    assert await berta.own() == {EVENING: (1, waiting["id"])}
    assert really_booked(sim) == [("berta@example.com", EVENING)]


# ---------------------------------------------------------------- cancelling


async def test_what_is_cancelled_is_no_longer_ones_own_and_its_place_is_free(sim, member):
    booked = await member.book()

    answer = await member.cancel(booked["id"])

    assert answer == {"cancelState": 1}
    assert await member.own() == {}
    assert really_booked(sim) == []
    assert [one.cancelled_at is not None for one in sim.reservations()] == [True]


async def test_the_id_of_a_class_is_taken_and_cancels_nothing(sim, member, email):
    await member.book()

    answer = await member.cancel(EVENING)

    assert answer == {"cancelState": 1}
    assert really_booked(sim) == [(email, EVENING)]


async def test_cancelling_late_is_warned_of_and_done_when_it_is_insisted_on(sim, member):
    sim.timetable = Timetable(late_within=7 * 3600)
    booked = await member.book()

    warned = await member.cancel(booked["id"])
    kept = await member.own()
    done = await member.cancel(booked["id"], late=1)

    assert (warned, done) == ({"cancelState": 2}, {"cancelState": 1})
    assert set(kept) == {EVENING}
    assert really_booked(sim) == []


@pytest.mark.parametrize("whose", ["somebody else's", "already cancelled", "of a class that has begun"])
async def test_an_error_is_told_for_a_reservation_that_can_t_be_cancelled(*, sim, member, another, clock, whose):
    booked = await member.book()
    asks = another() if whose == "somebody else's" else member
    if whose == "already cancelled":
        await member.cancel(booked["id"])
    if whose == "of a class that has begun":
        sim.rules = Rules(idle_life=24 * 3600)
        clock.advance(6 * 3600)

    assert await asks.cancel(booked["id"]) == {"cancelState": 3}


# ---------------------------------------------------------------- sessions


async def ask_all(member):
    return [await member.bookings(), await member.book(), await member.cancel(7_000_001)]


async def test_a_dead_session_is_told_logout_and_changes_nothing(sim, member, grant):
    await member.book()
    before = sim.reservations()
    sim.kill(grant.email, grant.fingerprint)

    assert await ask_all(member) == [{"logout": 1}] * 3
    assert sim.reservations() == before


async def test_nobody_books_without_a_session(sim, caller):
    answer = await caller.ask("POST", "/api/book", body=urlencode({"id": EVENING, "day": DAY}).encode())

    assert answer.json() == {"logout": 1}
    assert sim.reservations() == []


async def test_a_box_that_wants_a_visit_says_logout_until_setrefresh_named_its_host(
    sim, caller, grant, member, another
):
    sim.rules = Rules(box_needs_setrefresh=True)

    unvisited = await ask_all(member)
    await caller.set_refresh(grant.token, redirect=f"https://{BOX}/")
    elsewhere = await Member(caller, grant, "other.aimharder.com").book()

    assert unvisited == [{"logout": 1}] * 3
    assert elsewhere == {"logout": 1}
    assert (await member.book())["bookState"] == 1


async def test_bookings_do_not_keep_a_session_alive(sim, member, clock, grant):
    sim.rules = Rules(idle_life=60)
    clock.advance(59)
    await member.book()
    clock.advance(2)

    assert await member.bookings() == {"logout": 1}
    assert sim.truth(grant.email, grant.fingerprint).died_of == "idle"


# ---------------------------------------------------------------- from another process


async def test_standings_timetable_and_the_truth_of_bookings_can_be_had_from_another_process(
    sim, caller, member, email
):
    await caller.control("PUT", "timetable", {"times": ["18:00"], "limit": 2})
    await caller.control("PATCH", "timetable", {"daily_maximum": 1})
    await caller.control("POST", "standings", {"email": email, "credit": 5})
    await member.book(2026010101)

    lines = (await caller.control("GET", f"bookings?email={email}")).body.splitlines()

    assert sim.timetable == Timetable(times=("18:00",), limit=2, daily_maximum=1)
    assert (await caller.control("GET", "timetable")).json()["limit"] == 2
    [told] = [json.loads(line) for line in lines]
    assert (told["email"], told["time"], told["cancelled_at"]) == (email, "18:00", None)
    assert (await member.bookings())["clasesDisp"] == "4"


@pytest.mark.parametrize(
    ("method", "path", "asked", "status", "sentence"),
    [
        ("PUT", "timetable", {"times": ["7:00"]}, 400, "times must be written like 07:00, not '7:00'"),
        ("PUT", "timetable", {"times": "07:00"}, 400, "times must be a list of texts, not '07:00'"),
        ("PUT", "timetable", {"early_answer": "-3"}, 400, "early_answer must be one of '-4', '-12', not '-3'"),
        (
            "POST",
            "standings",
            {"email": "a@b.c", "credit": -1},
            400,
            "credit must be a whole number, 0 or more, or null",
        ),
        ("POST", "standings", {"email": "a@b.c", "owes": 1}, 400, "owes must be true or false"),
        ("POST", "standings", {"email": "a@b.c"}, 404, "the simulator knows no member a@b.c"),
    ],
)
async def test_a_control_request_that_makes_no_sense_is_told_so(*, caller, method, path, asked, status, sentence):
    answer = await caller.control(method, path, asked)

    assert (answer.status, answer.json()) == (status, {"error": sentence})
