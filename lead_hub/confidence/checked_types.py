"""Whether a record that was read from somebody's JSON holds what its fields promise."""

import types
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

Record = TypeVar("Record")
NUMBERS = {float: (int, float), int: (int,)}  # a truth value is none


def with_checked_types(record: Record) -> Record:
    """The record itself, a dataclass, whose fields are texts, numbers, tuples, mappings or such records.

    Raises:
        TypeError: a field holds something else than it is for.
    """
    hints = get_type_hints(type(record))
    for field in fields(record):  # type: ignore[arg-type]  # a dataclass
        value, hint = getattr(record, field.name), hints[field.name]
        if not _fits(value, hint):
            raise TypeError(f"{field.name} to be {getattr(hint, '__name__', hint)}, found {value!r:.100}")
    return record


def _fits(value: object, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(one, inner[0]) for one in value)
    if origin is Mapping:
        parts = value.items() if isinstance(value, dict) else [(None, None)]
        return all(_fits(key, inner[0]) and _fits(one, inner[1]) for key, one in parts)
    if hint in NUMBERS:
        return isinstance(value, NUMBERS[hint]) and not isinstance(value, bool)
    return isinstance(value, hint)
