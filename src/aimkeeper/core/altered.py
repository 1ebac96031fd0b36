"""Copies of values with a few fields changed, ten times faster than `dataclasses.replace` (docs/decisions/0029)."""

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    # To type checkers it is the same function: they know the fields.
    from dataclasses import replace as altered
else:
    T = TypeVar("T")

    def altered(value: T, /, **changes: Any) -> T:
        """
        *value* with *changes*: a frozen dataclass without slots, and without `__post_init__`.

        `dataclasses.replace` calls the constructor, which sets each field of a frozen class by a call of its own.
        """
        copy = object.__new__(type(value))
        fields = copy.__dict__
        fields.update(value.__dict__)
        fields.update(changes)
        return copy


__all__ = ["altered"]
