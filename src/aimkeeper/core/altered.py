"""
Values made, and copied with a few fields changed, without their constructor (docs/decisions/0029).

`dataclasses.replace` calls the constructor, which sets each field of a frozen class by a call of its own. For frozen
dataclasses without slots, and without `__post_init__`.
"""

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    # To type checkers these are the constructor and `replace`: they know the fields.
    from collections.abc import Callable
    from dataclasses import replace as altered
    from typing import ParamSpec

    P = ParamSpec("P")
    T = TypeVar("T")

    def made(kind: Callable[P, T], /, *_: P.args, **fields: P.kwargs) -> T: ...

else:
    T = TypeVar("T")

    def made(kind: type[T], /, **fields: Any) -> T:
        """A *kind* of all its *fields*."""
        value = object.__new__(kind)
        value.__dict__.update(fields)
        return value

    def altered(value: T, /, **changes: Any) -> T:
        """*value* with *changes*."""
        copy = object.__new__(type(value))
        fields = copy.__dict__
        fields.update(value.__dict__)
        fields.update(changes)
        return copy


__all__ = ["altered", "made"]
