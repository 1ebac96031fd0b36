"""The booking desk of every simulated box: a timetable, who holds which place, and why somebody gets none. No HTTP."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from aimkeeper.simulator.records import Reservation
from aimkeeper.simulator.rules import Timetable
from aimkeeper.simulator.state import Account

_DAY = "%Y%m%d"
# Class slots are numbered from this, reservations from that: so far apart that neither passes for the other.
_FIRST_RESERVATION = 7_000_001


class BookState(IntEnum):
    """What `/api/book` answers, docs/upstream.md, "Booking"."""

    BOOKED = 1
    WAITING = 0
    FULL = -1
    NO_CREDIT = -2
    TOO_EARLY = -4
    PAYMENT_PENDING = -5
    TOO_LATE = -7
    DAILY_MAXIMUM = -8
    REFUSED = -12  # the reason stands in `errorMssgLang`


class CancelState(IntEnum):
    """What `/api/cancelBook` answers."""

    CANCELLED = 1
    LATE = 2
    ERROR = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """One class on one day at one box; times are the simulator's own, UTC."""

    id: int
    time: str
    begins_at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """What the desk says to a booking; *reason* is the word of `errorMssgLang`."""

    state: BookState
    reservation: int | None = None
    reason: str = ""
    maximum: int | None = None


@dataclass(slots=True)
class Desk:
    """All reservations ever made, and the rules by which they are."""

    timetable: Timetable = field(default_factory=Timetable)
    reservations: list[Reservation] = field(default_factory=list)

    def slots(self, day: str) -> tuple[Slot, ...]:
        """The classes of *day*, `YYYYMMDD`; none when it is no day."""
        try:
            midnight = datetime.strptime(day, _DAY).replace(tzinfo=UTC)
        except ValueError:
            return ()
        return tuple(
            Slot(int(day) * 100 + number, time, midnight + timedelta(hours=int(time[:2]), minutes=int(time[3:])))
            for number, time in enumerate(self.timetable.times, 1)
        )

    def living(self, host: str, slot: int, *, waiting: bool = False) -> list[Reservation]:
        """Who holds a place, or waits for one, in order."""
        return [
            reservation
            for reservation in self.reservations
            if (reservation.host, reservation.slot, reservation.waiting) == (host, slot, waiting)
            and reservation.cancelled_at is None
        ]

    def held_by(self, account: Account, host: str, slot: int) -> Reservation | None:
        found = self.living(host, slot) + self.living(host, slot, waiting=True)
        return next((reservation for reservation in found if reservation.email == account.email), None)

    def book(self, account: Account, host: str, day: str, slot_id: int, *, insists: bool, now: datetime) -> Answered:
        """Give *account* a place, or say why not. Who insists on a full class is put on its waiting list."""
        slot = next((slot for slot in self.slots(day) if slot.id == slot_id), None)
        if slot is None:
            return Answered(BookState.REFUSED, reason="ERROR_SIMULATED_NO_SUCH_CLASS")
        if refused := self._refused(account, host, day, slot, now):
            return refused
        full = len(self.living(host, slot.id)) >= self.timetable.limit
        if full and not insists:
            return Answered(BookState.FULL)
        number = _FIRST_RESERVATION + len(self.reservations)
        made = Reservation(number, account.email, host, day, slot.id, slot.time, made_at=now, waiting=full)
        self.reservations.append(made)
        if account.credit is not None:
            account.credit -= 1
        return Answered(BookState.WAITING if full else BookState.BOOKED, number)

    def cancel(self, account: Account, host: str, number: int, *, accepts_late: bool, now: datetime) -> CancelState:
        """
        Take a reservation back, and give the place to whoever waits.

        A number that is no reservation is taken all the same and cancels nothing, as was seen with the ids of slots.
        """
        index = number - _FIRST_RESERVATION
        if not 0 <= index < len(self.reservations):
            return CancelState.CANCELLED
        held = self.reservations[index]
        begins_at = next(slot.begins_at for slot in self.slots(held.day) if slot.time == held.time)
        if held.email != account.email or held.host != host or held.cancelled_at or now >= begins_at:
            return CancelState.ERROR
        if begins_at - now < timedelta(seconds=self.timetable.late_within) and not accepts_late:
            return CancelState.LATE
        self.reservations[index] = replace(held, cancelled_at=now)
        if account.credit is not None:
            account.credit += 1
        waiting = self.living(host, held.slot, waiting=True)
        if waiting and not held.waiting:
            self.reservations[waiting[0].number - _FIRST_RESERVATION] = replace(waiting[0], waiting=False)
        return CancelState.CANCELLED

    def _refused(self, account: Account, host: str, day: str, slot: Slot, now: datetime) -> Answered | None:
        """The first reason that speaks against it, the class's own before the member's."""
        rules = self.timetable
        own = [one for one in self.reservations if one.email == account.email and one.cancelled_at is None]
        today = [one for one in own if one.host == host and one.day == day]
        early = Answered(BookState.TOO_EARLY)
        if rules.early_answer == "-12":
            early = Answered(BookState.REFUSED, reason="ERROR_ANTELACION_CLIENTE_HORAS")
        twice = Answered(BookState.REFUSED, reason="NOPUEDESRESERVAMISMAHORA")
        reasons = (
            (now >= slot.begins_at, Answered(BookState.TOO_LATE)),
            (0 < rules.opens_before < (slot.begins_at - now).total_seconds(), early),
            (account.owes, Answered(BookState.PAYMENT_PENDING)),
            (any((one.day, one.time) == (day, slot.time) for one in own), twice),
            (0 < rules.daily_maximum <= len(today), Answered(BookState.DAILY_MAXIMUM, maximum=rules.daily_maximum)),
            (account.credit == 0, Answered(BookState.NO_CREDIT)),
        )
        return next((answer for speaks_against, answer in reasons if speaks_against), None)
