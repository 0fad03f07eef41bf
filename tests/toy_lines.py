"""Small sites whose pages share lines, run through the declared stages, and the same done in plain Python."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.documents import Document, DocumentWriter, record
from pipeline.engines.run import Engine, run
from pipeline.settings import Lines
from pipeline.stage import Record, Stage
from pipeline.tally import Tally
from pipeline.units import Unit
from recipes.repeats import without_repeated_lines

NO_FLOOR = Lines(min_line_words=1, min_words=0, max_documents=2)


@dataclass(frozen=True)
class Page:
    name: str
    text: str
    url: str | None = "http://one.example/"
    source: str = "web"

    @property
    def row(self) -> dict[str, Any]:
        return record(Document(at=self.name, text=self.text, url=self.url), self.source, "web", "file")


def write_pages(unit: Unit, out: Path, tally: Tally, *, files: Sequence[Sequence[Page]]) -> None:
    with DocumentWriter(out) as writer:
        for page in files[unit.number]:
            tally.read(1, len(page.text.encode()))
            writer.write_row(page.row)
            tally.kept(1, len(page.text.encode()))


def documents(pages: Sequence[Page], files: int, seed: int | None) -> dict[str, Stage]:
    """The stage before, of each source: its pages in so many files."""

    def stage(source: str) -> Stage:
        mine = [page for page in pages if page.source == source]
        if seed is not None:
            random.Random(seed).shuffle(mine)
        cut = [mine[number::files] for number in range(files)]
        return Stage(
            name=f"dedup/{source}",
            work=lambda _: partial(write_pages, files=cut),
            units=lambda _: [Unit(number, ()) for number in range(files)],
        )

    return {source: stage(source) for source in sorted({page.source for page in pages})}


def declared(pages: Sequence[Page], settings: Lines, files: int = 1, seed: int | None = None) -> list[Stage]:
    clean = documents(pages, files, seed)
    through, _ = without_repeated_lines(settings, sorted(clean), clean)
    return [*clean.values(), *through]


def remove(
    work: Path, pages: Sequence[Page], settings: Lines = NO_FLOOR, files: int = 1, seed: int | None = None,
    engine: Engine = Engine(),  # noqa: B008
) -> dict[str, str]:  # fmt: skip
    """Name -> text of the documents that are left."""
    for stage in declared(pages, settings, files, seed):
        run(stage, work, engine)
    return left(work)


def left(work: Path) -> dict[str, str]:
    rows = [
        row for path in sorted((work / "lines").glob("*/[0-9]*.parquet")) for row in pq.read_table(path).to_pylist()
    ]
    return {row["origin"].removeprefix("file#"): row["text"] for row in rows}


def counts(work: Path, stage: str = "lines/web") -> Mapping[str, Any]:
    found = Record.read(work / stage)
    assert found
    assert found.finished
    return found.counts


def words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFC", text).lower())


def parts(text: str, unit: str) -> Iterator[tuple[int, int]]:
    """Where the lines, or the runs of lines, that are not blank begin and end."""
    line = r"[^\n]*[^\s][^\n]*"
    pattern = line if unit == "line" else rf"{line}(\n{line})*"
    return (found.span() for found in re.finditer(pattern, text))


def scope(page: Page, settings: Lines) -> str:
    host = re.sub(r"^www\.", "", re.sub(r"^https?://([^/:?#]*).*", r"\1", page.url or "").lower())
    return {"site": host or f"({page.source})", "source": page.source, "all": ""}[settings.scope]


def in_plain_python(pages: Sequence[Page], settings: Lines) -> dict[str, str]:
    """Name -> text of the documents that should be left."""
    having: dict[tuple[str, ...], set[str]] = defaultdict(set)

    def key(page: Page, span: tuple[int, int]) -> tuple[str, ...]:
        return (scope(page, settings), *words(page.text[slice(*span)]))

    for page in pages:
        for span in parts(page.text, settings.unit):
            having[key(page, span)].add(page.row["id"])
    out: dict[str, str] = {}
    for page in pages:
        spans = list(parts(page.text, settings.unit))
        gone = set()
        for number, span in enumerate(spans):
            owners = having[key(page, span)]
            first = settings.keep == "first" and min(owners) == page.row["id"]
            long = len(key(page, span)) - 1 >= settings.min_line_words
            if long and len(owners) > settings.max_documents and not first:
                gone.add(number)
        text = joined(page.text, spans, gone)
        if not gone or len(words(text)) >= settings.min_words:
            out[page.name] = text
    return out


def joined(text: str, spans: list[tuple[int, int]], gone: set[int]) -> str:
    """What stays, and between two parts of it, of the gaps that were between them, the first with most line breaks."""
    edges = [0, *(edge for span in spans for edge in span), len(text)]
    gaps = [text[a:z] for a, z in zip(edges[::2], edges[1::2], strict=True)]
    kept = [number for number in range(len(spans)) if number not in gone]
    if not kept:
        return "" if gone else text
    out = gaps[0] if kept[0] == 0 else ""
    for number, following in zip(kept, [*kept[1:], None], strict=True):
        out += text[slice(*spans[number])]
        if following is not None:
            out += max(gaps[number + 1 : following + 1], key=lambda gap: gap.count("\n"))
        elif number == len(spans) - 1:
            out += gaps[-1]
    return out


def sites(pages: int = 120) -> list[Page]:
    """Pages of four sites and of none, in two sources: own lines, lines of the site in other cases and signs, gaps."""
    dice = random.Random(11)
    lexicon = ["".join(dice.choices("abcdéfghijß", k=dice.randint(2, 8))) for _ in range(500)]
    hosts = ["one.example", "www.ONE.example:8080", "two.example", "sub.two.example", None]
    shared = [" ".join(dice.choices(lexicon, k=dice.randint(1, 12))) for _ in range(10)]
    forms: list[Callable[[str], str]] = [str.upper, str.title, "  * {}!".format, lambda line: line.replace(" ", " - ")]
    out = []
    for number in range(pages):
        lines = []
        for _ in range(dice.randint(1, 14)):
            own = " ".join(dice.choices(lexicon, k=dice.randint(1, 20)))
            line = dice.choice(forms)(dice.choice([own, dice.choice(shared)]))
            lines.append(dice.choice([line, line, f"{line}\r", "|", ""]))
        host = dice.choice(hosts)
        text = "".join(line + dice.choice(["\n", "\n", "\n\n", "\n \n\n"]) for line in lines)
        source = dice.choice(["news", "web"])
        out.append(Page(f"d{number}", text[: -dice.randint(1, 2)], host and f"http://{host}/{number}?q#f", source))
    return out
