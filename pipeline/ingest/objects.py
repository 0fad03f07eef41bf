"""JSON lines, or one JSON array of any size -> the objects in it, each line or element on its own."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
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

WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"{\0", b"\0{", b"[\0", b"\0[")
"""What a file in UTF-16 or UTF-32 begins with: its mark, or a bracket beside a NUL."""

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
    number, read = 0, False
    try:
        for line in lines(path):
            number = line.number
            if number == 1 and line.content.startswith(WIDE):
                raise UnreadableFile(f"{path}: is not UTF-8 (it begins as UTF-16 does); convert it")
            if not line.content and line.size <= LONGEST:
                continue
            content = line.content.removeprefix(MARK) if number == 1 else line.content
            if content.strip() or line.size > LONGEST:
                row = _object(line._replace(content=content))
                if isinstance(row, Found) and not line.ended and row.reason in ("bad_json", "bad_utf8"):
                    if not read and not _is_begun_utf8(content):
                        raise UnreadableFile(f"{path}: is not UTF-8, and none of its lines is JSON; convert it")
                    raise DamagedFile.told(path, f"line {number}", "the line has no end")
                read = read or isinstance(row, Row)
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


def _is_begun_utf8(content: bytes) -> bool:
    """Whether bytes are UTF-8 that may be cut off within a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return False
    return True


def _is_array(path: Path) -> bool:
    """Whether the file is one array: it begins so, and its first line is not a whole array before other lines."""
    if not path.name.lower().endswith(EITHER):
        return False
    begins = False
    try:
        heads = (block.removeprefix(MARK).lstrip()[:2] for block in blocks(path))
        head = next(filter(None, heads), b"")
        begins = head.startswith(b"[") and not head.startswith(WIDE)
        if not begins:
            return False
        filled = (line for line in lines(path) if line.size > LONGEST or line.content.removeprefix(MARK).strip())
        first = next(filled)
        if first.size > LONGEST:
            return True
        _parsed(first.content.removeprefix(MARK))
        return next(filled, None) is None
    except (CutOffError, ValueError, RecursionError):
        return begins


def _elements(path: Path) -> Iterator[Row | Found]:
    """The objects in an array; of one that is damaged, those that can be told apart. Raises DamagedFile.

    A large one, of which no more than some `LONGEST` bytes are held, is read at a third of the speed.
    """
    contents = _contents(path)
    start = bytearray()
    for content in contents:
        start += content
        if len(start) > LONGEST:
            break
    whole = bytes(start.removeprefix(MARK))
    if len(start) <= LONGEST:
        try:
            array = _parsed(whole)
        except (ValueError, RecursionError):
            pass
        else:
            for at, element in enumerate(array):
                yield _element(str(at), element, len(_dumped(element)))
            return
    yield from _told_apart(_Window(chain([whole], contents)), path)


def _contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, up to where it is cut off: the array has no end then, and that is told."""
    with suppress(CutOffError):
        yield from blocks(path)


class _Window:
    """The text of a file from a place on, as much of it as is asked for; bytes that are no UTF-8 as surrogates."""

    def __init__(self, contents: Iterator[bytes]) -> None:
        self._contents = contents
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self.text = ""

    def moved(self, place: int) -> bool:
        """Begin at `place` and hold twice as much from there; False, and nothing moves, if there is no more or it is
        `LONGEST`."""
        parts = [self.text[place:]]
        held = size = len(parts[0])
        while size <= 2 * held <= 2 * LONGEST and (content := next(self._contents, None)) is not None:
            parts.append(self._decode(content))
            size += len(parts[-1])
        if size > held:
            self.text = "".join(parts)
        return size > held


def _told_apart(window: _Window, path: Path) -> Iterator[Row | Found]:
    """The elements one by one, going on at the next object behind a fault. Raises DamagedFile where none follows."""
    read = json.JSONDecoder().raw_decode
    window.moved(0)
    at, place, faults = 0, window.text.index("[") + 1, 0
    while True:
        place = start = _BETWEEN.match(window.text, place).end()  # type: ignore[union-attr]
        reason, element = "", None
        try:
            if window.text.startswith("]", start):
                return
            element, place = read(window.text, start)
            if place == len(window.text) and window.moved(start):  # a number may go on
                place = 0
                continue
            window.text[start:place].encode()
        except UnicodeEncodeError:
            reason = "bad_utf8"
        except (ValueError, RecursionError):
            if window.moved(start):
                place = 0
                continue
            reason, following, faults = "bad_json", _NEXT.search(window.text, start), faults + 1
            if following is None or faults > MOST_FAULTS:
                within = f" within {LONGEST >> 20} MB" if len(window.text) - start > LONGEST else ""
                why = f"it has no end{within}" if following is None else f"{faults} of its elements are no JSON"
                raise DamagedFile.told(path, f"element {at}", why) from None
            place = following.end()
        size = place - start
        if reason:
            yield Found(size, Dropped(at=str(at), reason=reason, text=window.text[start : start + 2000]))
        elif size > LONGEST:
            yield Found(size, Dropped(at=str(at), reason="too_large", value=size))
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
