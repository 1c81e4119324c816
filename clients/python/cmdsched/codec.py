"""Commands to JSON and back.

Pydantic models convert themselves.  For dataclasses the annotations say what
the JSON stands for: datetimes, UUIDs, decimals, enums, nested dataclasses and
collections of these come back as what they were.
"""
from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID


def is_command_class(candidate: object) -> bool:
    """Tell whether it is a dataclass or a pydantic model."""
    return isinstance(candidate, type) and (dataclasses.is_dataclass(candidate) or is_pydantic(candidate))


def is_pydantic(cls: type) -> bool:
    """Tell whether a class is a pydantic model, of version 1 or 2."""
    return hasattr(cls, "model_validate") or hasattr(cls, "parse_obj")


def dump(value: object) -> str:
    """Convert a command, or metadata, to JSON.

    Raises:
        TypeError: JSON has nothing for a value in it.
        ValueError: It has a number that is not finite, or refers to itself.
    """
    return json.dumps(value, default=_simplify, allow_nan=False)


def load(cls: type, text: str) -> Any:
    """Make an object of a command's class from JSON.

    Raises:
        Exception: The JSON does not fit the class.
    """
    data = json.loads(text)
    if hasattr(cls, "model_validate"):
        return cls.model_validate(data)
    if hasattr(cls, "parse_obj"):
        return cls.parse_obj(data)
    return _convert(data, cls)


def _simplify(value: Any) -> Any:
    """Give json.dumps() something simpler for what it does not know."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "parse_obj"):
        return json.loads(value.json())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Set):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


_FROM_SCALAR: dict[Any, Any] = {
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    timedelta: lambda seconds: timedelta(seconds=seconds),
    UUID: UUID,
    Decimal: lambda value: Decimal(str(value)),
    float: float,
}


def _convert(value: Any, hint: Any) -> Any:
    """Convert what JSON has to what an annotation asks for."""
    origin = get_origin(hint)
    if origin is Union or origin is types.UnionType:
        return _convert_union(value, get_args(hint))
    if origin is not None and origin is not Literal and isinstance(origin, type):
        return _convert_collection(value, origin, get_args(hint))
    if hint in _FROM_SCALAR:
        return _FROM_SCALAR[hint](value)
    if hint in (tuple, set, frozenset):
        return hint(value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if isinstance(hint, type) and is_pydantic(hint):
        return load(hint, json.dumps(value))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint)
        return hint(**{name: _convert(item, hints.get(name, Any)) for name, item in value.items()})
    return value


def _convert_union(value: Any, alternatives: tuple[Any, ...]) -> Any:
    """Take what JSON has as it is where it fits, otherwise what can be made of it first."""
    for alternative in alternatives:
        if isinstance(alternative, type) and type(value) is alternative:
            if alternative is not str:
                return value
    for alternative in alternatives:
        if alternative is not str and alternative is not Any:
            try:
                return _convert_strictly(value, alternative)
            except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError):
                continue
    return value


def _convert_strictly(value: Any, hint: Any) -> Any:
    """As _convert(), but what it leaves alone must be of that type already."""
    converted = _convert(value, hint)
    if isinstance(hint, type) and not isinstance(converted, hint):
        raise TypeError
    return converted


def _convert_collection(value: Any, origin: type, arguments: tuple[Any, ...]) -> Any:
    if issubclass(origin, Mapping):
        return {key: _convert(item, arguments[1]) for key, item in value.items()}
    if issubclass(origin, tuple):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_convert(item, arguments[0]) for item in value)
        return tuple(_convert(item, hint) for item, hint in zip(value, arguments, strict=True))
    if issubclass(origin, Set):
        make = frozenset if issubclass(origin, frozenset) else set
        return make(_convert(item, arguments[0]) for item in value)
    if issubclass(origin, Sequence):
        return [_convert(item, arguments[0]) for item in value]
    return value
