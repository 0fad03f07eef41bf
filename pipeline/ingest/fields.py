"""A field of a row by its name, `a.b` in objects -> its value; a name that is not there -> what is told of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from pipeline.documents import clean

SHOWN = 30
"""Names of columns told in a message."""

BLANK = "\n\n"


class NotTextError(Exception):
    """A field holds no text; the message says what it holds."""


def top(name: str, names: Iterable[str]) -> str:
    """The column that holds the field `name`: itself, or the part before its first point."""
    return name if name in names else name.partition(".")[0]


def value_of(fields: Mapping[str, Any], name: str) -> Any:
    """The value of a field, None where there is none; `a.b` in a list of objects is the list of their b."""
    if name in fields:
        return fields[name]
    first, _, rest = name.partition(".")
    inner = fields.get(first) if rest else None
    if isinstance(inner, list):
        return [value_of(each, rest) for each in inner if isinstance(each, dict)]
    return value_of(inner, rest) if isinstance(inner, dict) else None


def text_of(fields: Mapping[str, Any], names: Sequence[str]) -> str:
    """The text of one or several fields, a blank line between two: strings, or lists of strings (paragraphs, turns).

    Raises NotTextError if a field holds anything else, or all of them nothing.
    """
    found = [(name, value_of(fields, name)) for name in names]
    parts = [_part(name, value) for name, value in found if value is not None]
    if not parts:
        there = any(top(name, fields) in fields for name in names)
        raise NotTextError(f"{names[0]} is NoneType" if there else f"no {' nor '.join(names)}")
    return parts[0] if len(parts) == 1 else BLANK.join(part for part in parts if part.strip())


def _part(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list) and all(each is None or isinstance(each, str) for each in value):
        return BLANK.join(each for each in value if each and each.strip())
    raise NotTextError(f"{name} is {type(value).__name__}")


def missing(name: str, names: Sequence[str]) -> str:
    """What is told of a column that is not there: "has no column body; its columns are ...; did you mean 'text'?"."""
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    near = difflib.get_close_matches(name, names, n=1)
    return f"has no column {name}; its columns are {shown or 'none'}" + (f"; did you mean '{near[0]}'?" if near else "")


def type_of(schema: pa.Schema, name: str) -> pa.DataType | None:
    """The type of a field, through objects and lists of objects; None if there is none."""
    column = top(name, schema.names)
    if column not in schema.names:
        return None
    found = schema.field(column).type
    for part in name[len(column) + 1 :].split(".") if column != name else ():
        found = _item(found)
        if not pa.types.is_struct(found) or found.get_field_index(part) < 0:
            return None
        found = found.field(part).type
    return found


def holds_text(type_: pa.DataType) -> bool:
    """Whether a column's type is one that `text_of` reads."""
    inner = _item(type_)
    inner = inner.value_type if pa.types.is_dictionary(inner) else inner
    return any(
        test(inner)
        for test in (
            pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
            pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_null,
        )
    )  # fmt: skip


def _item(type_: pa.DataType) -> pa.DataType:
    lists = (
        pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list,
        pa.types.is_list_view, pa.types.is_large_list_view,
    )  # fmt: skip
    return type_.value_type if any(test(type_) for test in lists) else type_


def told(value: Any) -> str | None:
    """A value of a table as words: dates in ISO 8601, nothing for null and empty."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return clean(str(value)) if value not in (None, "", [], {}) else None


def plain_value(value: Any) -> Any:
    """A value of a table as JSON and UTF-8 can hold it: dates and larger integers than 64 bits become words."""
    if isinstance(value, dict):
        return {clean(str(name)): plain_value(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain_value(inner) for inner in value]
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and -(1 << 63) <= value < 1 << 63):
        return value
    return told(value)
