"""JSON lines, or a small file that is one JSON array -> the objects in it, each line or element on its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from pipeline.documents import Dropped
from pipeline.ingest.lines import LONGEST, CutOffError, Line, blocks, lines
from pipeline.ingest.reading import DamagedFile, Found, UnreadableFile

LINES = tuple(f".jsonl{packed}" for packed in ("", ".gz", ".zst"))
EITHER = tuple(f".json{packed}" for packed in ("", ".gz", ".zst"))
JSON = (*LINES, *EITHER)

MARK = b"\xef\xbb\xbf"


MOST_FAULTS = 100
"""Faults of an array behind which reading goes on; each may cost as much as reading the rest of it."""

DEEPEST = 100
"""Levels of lists and objects within one another in a row: what reads and writes them again goes level by level, and
none that people write has more than a dozen."""

TOO_DEEP = f"more than {DEEPEST} levels"

_BETWEEN = re.compile(r"[\s,]*")
_NEXT = re.compile(r"\}\s*,\s*(?=\{)")


class Row(NamedTuple):
    at: str
    """Where in its file: number of the line (from 1), of the array's element or Parquet row (from 0), or in Arrow
    `batch.row` (both from 0)."""
    fields: dict[str, Any]
    text: str
    size: int


def objects(path: Path) -> Iterator[Row | Found]:
    """Every object of the file, or why there is none in its place. Raises UnreadableFile, DamagedFile at a cut."""
    if _is_array(path):
        yield from _elements(path)
        return
    number = 0
    try:
        for line in lines(path):
            number = line.number
            if not line.content and line.size <= LONGEST:
                continue
            content = line.content.removeprefix(MARK) if number == 1 else line.content
            if content.strip() or line.size > LONGEST:
                row = _object(line._replace(content=content))
                if isinstance(row, Found) and not line.ended and row.reason in ("bad_json", "bad_utf8"):
                    raise DamagedFile.told(path, f"line {number}", "the line has no end")
                yield row
    except CutOffError as fault:
        raise DamagedFile.told(path, f"line {number + 1}", str(fault)) from None


def object_at(path: Path, at: str) -> bytes | None:
    """The raw line `at`, or the element of an array as JSON; None if there is none."""
    if _is_array(path):
        return next((_dumped(row.fields) for row in _elements(path) if isinstance(row, Row) and row.at == at), None)
    return next((line.content for line in lines(path) if line.number == int(at)), None)


def is_shallow(value: Any) -> bool:
    """Whether a JSON value has at most `DEEPEST` levels."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False


def _is_array(path: Path) -> bool:
    """Whether the file is one array: it begins so, and its first line is not a whole array before other lines."""
    if not path.name.lower().endswith(EITHER):
        return False
    first = b""
    try:
        contents = (line.content.removeprefix(MARK).lstrip() for line in lines(path))
        filled = filter(None, contents)
        first = next(filled, b"")
        if not first.startswith(b"["):
            return False
        _parsed(first)
        return next(filled, None) is None
    except (CutOffError, ValueError, RecursionError):
        return first.startswith(b"[")


def _elements(path: Path) -> Iterator[Row | Found]:
    """The objects in an array; of one that is damaged, those that can be told apart. Raises UnreadableFile."""
    content = _whole(path)
    try:
        array = _parsed(content)
    except (ValueError, RecursionError):
        yield from _told_apart(content, path)
        return
    for at, element in enumerate(array):
        yield _element(str(at), element, len(_dumped(element)))


def _whole(path: Path) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        for block in blocks(path):
            size += len(block)
            if size > LONGEST:
                told = f"is a JSON array of more than {LONGEST >> 20} MB, which is read as a whole; make it JSON lines"
                raise UnreadableFile(f"{path}: {told}")
            parts.append(block)
    except CutOffError:
        pass  # the array has no end then, and that is told
    return b"".join(parts).removeprefix(MARK)


def _told_apart(content: bytes, path: Path) -> Iterator[Row | Found]:
    """The elements one by one, going on at the next object behind a fault. Raises DamagedFile where none follows."""
    text = content.decode("utf-8", "surrogateescape")
    read = json.JSONDecoder().raw_decode
    at, place, faults = 0, text.index("[") + 1, 0
    while not text.startswith("]", place := _BETWEEN.match(text, place).end()):  # type: ignore[union-attr]
        start, reason = place, ""
        try:
            element, place = read(text, start)
            text[start:place].encode()
        except UnicodeEncodeError:
            reason = "bad_utf8"
        except (ValueError, RecursionError):
            reason, following, faults = "bad_json", _NEXT.search(text, start), faults + 1
            if following is None or faults > MOST_FAULTS:
                raise DamagedFile.told(path, f"element {at}", "it has no end") from None
            place = following.end()
        size = place - start
        if reason:
            yield Found(size, Dropped(at=str(at), reason=reason, text=text[start : start + 2000]))
        else:
            yield _element(str(at), element, size)
        at += 1


def _element(at: str, element: Any, size: int) -> Row | Found:
    if not is_shallow(element):
        return Found(size, Dropped(at=at, reason="bad_json", value=TOO_DEEP))
    if isinstance(element, dict):
        return Row(at, element, "", size)
    return Found(size, Dropped(at=at, reason="bad_row", value=f"a JSON {type(element).__name__} is no row"))


def _dumped(element: Any) -> bytes:
    """The element as JSON; nothing if it holds what JSON cannot be made of again (lone surrogates, 1,000 levels)."""
    try:
        return orjson.dumps(element)
    except orjson.JSONEncodeError:
        try:
            return json.dumps(element).encode()
        except RecursionError:
            return b""


def _object(line: Line) -> Row | Found:
    """The JSON object on a line."""

    def dropped(reason: str, value: str | float) -> Found:
        start = line.content[:2000].decode("utf-8", "replace")
        return Found(line.size, Dropped(at=str(line.number), reason=reason, value=value, text=start))

    if line.size > LONGEST:
        return dropped("too_large", line.size)
    try:
        fields = _parsed(line.content)
    except UnicodeDecodeError as fault:
        return dropped("bad_utf8", f"byte {fault.start}")
    except (ValueError, RecursionError) as fault:
        return dropped("bad_json", str(fault))
    if not is_shallow(fields):
        return dropped("bad_json", TOO_DEEP)
    if not isinstance(fields, dict):
        return dropped("bad_row", f"a JSON {type(fields).__name__} is no row")
    return Row(str(line.number), fields, "", line.size)


def _parsed(content: bytes) -> Any:
    """What orjson refuses and Python reads (NaN, lone surrogates) is taken. Raises ValueError, RecursionError."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return json.loads(content.decode())
