"""What a route says of itself: who may ask, what goes in, what comes out. Its guard comes from here too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aimkeeper.web.access import Guard, Role, let_in

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """
    A route's own description, beside its summary and its parameters.

    Attributes:
        who: Who may ask.
        answers: The type of a good answer; several where there are several kinds of them.
        example: A good answer.
        status: Its status.
        media: Its content type.
        fails: Statuses of this route's own failures; those of every route come on top.
        body: The type of what it takes; None = nothing.
        given: An example of that.
        form: Whether it takes a form too.
        optional: Whether nothing is enough.
        other: Types of answers whose status says that all is not well, by status.
    """

    who: tuple[Role, ...]
    answers: tuple[Any, ...]
    example: Any
    status: int
    media: str
    fails: tuple[int, ...]
    body: Any
    given: Any
    form: bool
    optional: bool
    other: Mapping[int, Any]


def told(
    *who: Role,
    answer: Any,
    example: Any,
    status: int = 200,
    media: str = JSON,
    fails: Sequence[int] = (),
    body: Any = None,
    given: Any = None,
    form: bool = False,
    optional: bool = False,
    other: Mapping[int, Any] | None = None,
    guard: Guard | None = None,
) -> dict[str, Any]:
    """
    What to hand to a route's decorator.

    Args:
        who: Who may ask; none = anybody.
        guard: Checks it in a way of its own.
        answer: One type or several, see `Told`.
        example: See `Told`.
        status: See `Told`.
        media: See `Told`.
        fails: See `Told`.
        body: See `Told`.
        given: See `Told`.
        form: See `Told`.
        optional: See `Told`.
        other: See `Told`.
    """
    description = Told(
        who=who or (Role.ANYONE,),
        answers=answer if isinstance(answer, tuple) else (answer,),
        example=example,
        status=status,
        media=media,
        fails=tuple(fails),
        body=body,
        given=given,
        form=form,
        optional=optional,
        other=other or {},
    )
    guards = [guard] if guard else [let_in(*who)] if who else []
    return {"status_code": status, "opt": {"told": description}, "guards": guards}
