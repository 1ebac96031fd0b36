"""
Values: never changed once they are made, and made as quickly as Python can (docs/decisions/0029).

That nobody changes one is seen to by the type checker. To see to it at run time too, as `dataclass(frozen=True)` does,
costs a call for each field of each value made, and a rotation makes two dozen of them.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    # To type checkers they are the same: they know frozen classes, and the fields.
    from dataclasses import dataclass as value
    from dataclasses import replace as altered
else:
    T = TypeVar("T")

    def value(*, frozen: bool, **options: Any) -> Callable[[type[T]], type[T]]:
        """A class of values: `dataclass(frozen=True)` to the type checker and to `hash`."""
        return dataclasses.dataclass(unsafe_hash=frozen, **options)

    def altered(value: T, /, **changes: Any) -> T:
        """
        *value* with *changes*: of a class without slots, and without `__post_init__`.

        `dataclasses.replace` asks for each field, and calls the constructor with all of them.
        """
        copy = object.__new__(type(value))
        fields = copy.__dict__
        fields.update(value.__dict__)
        fields.update(changes)
        return copy


__all__ = ["altered", "value"]
