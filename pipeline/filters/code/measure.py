"""A batch of source files -> every quantity that rules ask for, of every file, whatever it will fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from pipeline.filters.code import origin, secrets
from pipeline.filters.code.keywords import Keywords
from pipeline.filters.code.lexemes import lexemes
from pipeline.filters.code.licenses import silent
from pipeline.filters.code.notices import HEAD, notice_of
from pipeline.filters.code.notices import WORDS as NOTICES
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.code.shape import Shape, shape
from pipeline.filters.code.visible import visible_characters
from pipeline.filters.rules import Column, Measured
from pipeline.words import text_of

PROSE_LINES = frozenset({"html", "json", "markdown", "roff", "roff manpage", "smt", "tex", "text", "xml"})
"""Languages whose lines may be long (StarCoder2)."""

SYMBOLIC = frozenset({"assembly", "motorola 68k assembly", "webassembly"})
"""Languages with few letters (StarCoder: Assembly; StarCoder2: the other two)."""

DATA = frozenset({"text", "json", "yaml", "web ontology language", "graphviz (dot)"})
"""Languages of data, of which only short files are kept (StarCoder2)."""

SCRIPTS = frozenset({"javascript", "css", "typescript"})
"""Languages that are minified."""

PROSE = frozenset(
    {"markdown", "restructuredtext", "text", "asciidoc", "org", "tex", "rmarkdown", "html", "json", "xml"}
)
"""Languages that speak of licences without being under them."""

TEXT_NAMES = frozenset({"readme", "notes", "todo", "description", "cmakelists"})
"""Names, without their ending, of Text that is kept (StarCoder2), beside all with `requirement` in them."""

XML_DECLARATION, XML_WITHIN = b"<?xml version=", 100
"""What begins a file that is XML in truth, and bytes in which it stands (StarCoder)."""

XML_LANGUAGES = frozenset({"xslt"})
"""Languages in which XML is written as code (StarCoder)."""

LITERAL = frozenset({"yaml", "toml", "ini", "html", "xml", "svg", "markdown", "css", "json with comments", "json5"})
"""Languages that are strings for the most part, without being tables."""

NONE = "none"

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]


def measure(batch: pa.RecordBatch, filters: CodeFilters) -> Measured:
    """The columns of `rules`. Texts lose their secrets at the end if the recipe says `secrets: redact`."""
    data, offsets = text_of(batch.column("text"))
    told: list[dict[str, Any]] = [
        orjson.loads(facts) if facts else {} for facts in batch.column("metadata").to_pylist()
    ]
    written = batch.column("language").to_pylist()
    languages = [(language or "").lower() for language in written]
    paths = [str(facts.get("path") or "") for facts in told]
    counts = shape(data, offsets)
    places = _keywords().find(data, offsets, secrets.MOST_PLACES + 1)
    heads = _Heads(data, offsets, *places)
    columns: dict[str, Column] = {
        "visible": counts.visible,
        "license": _words(_licenses(batch.column("license").to_pylist(), heads, languages, filters)),
        "language": _words(written),
        **_origin(told, paths, heads),
        **_shape(counts, languages, paths),
        "xml": _declared_xml(data, offsets, languages),
        **_html(data, offsets, counts, languages),
        **_lexical(data, offsets, languages),
        **_secrets(data, offsets, *places),
    }
    return Measured(columns=columns, redact=secrets.redacted if filters.secrets == "redact" else None)


@cache
def _keywords() -> Keywords:
    """All words that are looked for, in one pass: of secrets, of licence notices, of generators."""
    return Keywords((*secrets.WORDS, *NOTICES, *origin.GENERATORS))


class _Heads:
    """The first characters of the files in which a notice of their licence or of a generator may stand."""

    def __init__(self, data: Bytes, offsets: Offsets, documents: Places, words: Places, places: Places) -> None:
        self._data, self._offsets = data, offsets
        first, last = len(secrets.WORDS), len(secrets.WORDS) + len(NOTICES)
        near = places - offsets[documents] < 4 * max(HEAD, origin.HEAD)
        self.licensed = set(documents[near & (words >= first) & (words < last)].tolist())
        self.generated = set(documents[near & (words >= last)].tolist())

    def __getitem__(self, document: int) -> str:
        start, end = int(self._offsets[document]), int(self._offsets[document + 1])
        head = self._data[start : min(start + max(HEAD, origin.HEAD), end)]
        return head.tobytes().decode("utf-8", "ignore")


def _licenses(
    told: Sequence[str | None], heads: _Heads, languages: Sequence[str], filters: CodeFilters
) -> Iterator[str]:
    """What holds for each file: what is told of it, and what it says itself, if it differs."""
    for document, (license, language) in enumerate(zip(told, languages, strict=True)):
        stated = None if silent(license) else license
        own = None
        if filters.license_notices and document in heads.licensed:
            own = notice_of(heads[document], language in PROSE)
        yield f"({stated}) AND ({own})" if stated and own and own != stated else stated or own or NONE


def _origin(told: Sequence[dict[str, Any]], paths: Sequence[str], heads: _Heads) -> dict[str, Column]:
    vendored: list[str | None] = []
    generated: list[str | None] = []
    for document, (facts, path) in enumerate(zip(told, paths, strict=True)):
        vendored.append("is_vendor" if facts.get("is_vendor") is True else origin.vendored(path))
        found = "is_generated" if facts.get("is_generated") is True else origin.generated_path(path)
        if found is None and document in heads.generated:
            found = origin.generated_head(heads[document])
        generated.append(found)
    minified = map(origin.minified, paths)
    return {"vendored": _words(vendored), "generated": _words(generated), "minified": _words(minified)}


def _shape(counts: Shape, languages: Sequence[str], paths: Sequence[str]) -> dict[str, Column]:
    """Quantities that a language is spared are not measured."""
    prose, symbolic, script, data = (_among(languages, names) for names in (PROSE_LINES, SYMBOLIC, SCRIPTS, DATA))
    characters, mean = np.maximum(counts.characters, 1), counts.inside / np.maximum(counts.lines, 1)
    return {
        "lines": counts.lines,
        "longest_line": np.where(prose, np.nan, counts.longest),
        "longest_prose_line": np.where(prose, counts.longest, np.nan),
        "mean_line": np.where(prose, np.nan, mean),
        "alphabetic": np.where(symbolic, np.nan, counts.letters / characters),
        "alphanumeric": np.where(symbolic, (counts.letters + counts.digits) / characters, np.nan),
        "encoded": counts.encoded / characters,
        "encoded_run": counts.longest_encoded,
        "script_mean_line": np.where(script, mean, np.nan),
        "script_long_lines": np.where(script, counts.in_long / characters, np.nan),
        "data_lines": np.where(data, counts.lines, np.nan),
        "text_name": _words(map(_idle_name, paths, languages)),
    }


def _idle_name(path: str, language: str) -> str | None:
    """The name of a Text file that says nothing of its being about a program; not asked where there is no name."""
    if language != "text":
        return None
    name = path.rpartition("/")[2].lower()
    if not name or "requirement" in name or name.split(".")[0] in TEXT_NAMES:
        return None
    return name


def _declared_xml(data: Bytes, offsets: Offsets, languages: Sequence[str]) -> Column:
    starts = [data[start : start + XML_WITHIN].tobytes() for start in offsets[:-1].tolist()]
    return _words(
        XML_DECLARATION.decode() if XML_DECLARATION in start and language not in XML_LANGUAGES else None
        for start, language in zip(starts, languages, strict=True)
    )


def _secrets(data: Bytes, offsets: Offsets, documents: Places, words: Places, places: Places) -> dict[str, Column]:
    own = words < len(secrets.WORDS)
    found = secrets.examine(data, offsets, documents[own], words[own], places[own])
    holders = np.array([secret.document for secret in found], np.int64)
    files = len(offsets) - 1
    return {
        "secrets": np.bincount(holders, minlength=files),
        "keywords": np.bincount(documents, minlength=files),
    }


def _html(data: Bytes, offsets: Offsets, counts: Shape, languages: Sequence[str]) -> dict[str, Column]:
    seen = np.full(len(languages), np.nan)
    for document in np.flatnonzero(_among(languages, frozenset({"html"}))).tolist():
        seen[document] = visible_characters(data, int(offsets[document]), int(offsets[document + 1]))
    return {"html_text": seen, "html_visible": seen / np.maximum(counts.characters, 1)}


def _lexical(data: Bytes, offsets: Offsets, languages: Sequence[str]) -> dict[str, Column]:
    """Measured wherever the syntax is known, also for rules that are off: the pass over the bytes is the same."""
    found = lexemes(data, offsets, languages)
    literals = found.strings + found.numbers
    tabular = (found.visible >= 0) & ~_among(languages, LITERAL)
    return {
        "comments": np.where(found.visible > 0, found.comments / np.maximum(found.visible, 1), np.nan),
        "literals": np.where(tabular, literals / np.maximum(literals + found.names, 1), np.nan),
        "literal_bytes": np.where(tabular, literals, np.nan),
    }


def _among(languages: Sequence[str], names: frozenset[str]) -> npt.NDArray[np.bool_]:
    return np.fromiter((language in names for language in languages), np.bool_, len(languages))


def _words(values: Iterable[str | None]) -> Column:
    listed = list(values)
    column = np.empty(len(listed), object)
    column[:] = listed
    return column
