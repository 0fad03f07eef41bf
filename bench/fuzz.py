"""Mutated records of every format, good neighbours between them: no crash, no hang, little memory, no neighbour lost.

    python bench/fuzz.py [--records 10000] [--format NAME ...] [--corpus DIR] [--seed 1]

The readers run as the ingest stage runs them, in a process of their own with `ROOM` of memory above what the imports
take and `PATIENCE` a record. Where a file is mutated and not its records, the neighbours that the damage spared for
certain are counted. Prints a line a format, and how to repeat each fault. Without --corpus the records are those that
`bertmill sample` makes; of a corpus those of the same formats, and its PDF, PubMed and MEDLINE files too.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder of this script alone is on the path else

import pyarrow as pa

from bench.fuzzing import captures, papers, repositories, tables
from bench.fuzzing.formats import Format
from bench.fuzzing.mutations import mutated
from pipeline.documents import SCHEMA, Document, Dropped, record
from pipeline.ingest.reading import UnreadableFile
from pipeline.ingest.stage import READERS
from pipeline.sample import sample
from pipeline.settings import CodeSource, ScienceSource, Source, TextSource, WebSource
from pipeline.units import Piece

ROOM = 1 << 30
"""Bytes of memory above those of the bare interpreter with its imports."""

PATIENCE = 5.0
"""Seconds of a record."""

LAST = 120
"""Seconds of a file behind which its process is ended, though it be in compiled code that no signal stops."""

TOGETHER = 20
"""Mutated records of a file, where a file has several."""

SHARED = 3
"""Good neighbours in a file that is mutated as a whole, as many real records between them."""

SOURCES: dict[str, Source] = {
    "web": WebSource(kind="web", read="x"),
    "code": CodeSource(kind="code", read="x"),
    "science": ScienceSource(kind="science", read="x"),
    "text": TextSource(kind="text", read="x"),
}


class HangError(BaseException):
    """A record took longer than `PATIENCE`, four times over; no reader's `except Exception` may catch it."""


def main(words: Sequence[str] | None = None) -> int:
    """Fuzz the formats asked for; 1 if a reader crashed or hung, or a neighbour was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--format", action="append", default=[])
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--file", type=int, help="repeat one file of a format, in this process")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(words)
    with contextlib.ExitStack() as open_folders:
        folder = Path(open_folders.enter_context(tempfile.TemporaryDirectory()))
        raw = asked.corpus or folder / "sample"
        if not asked.corpus:
            sample(raw, web_pages=60, code_bytes=300_000, articles=40)
        if asked.child:
            child(next(one for one in formats(raw) if one.name == asked.format[0]), asked.seed, asked.records, folder)
            return 0
        known = {one.name: one for one in formats(raw)}
        if unknown := set(asked.format) - set(known):
            parser.error(f"no format {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
        chosen = [known[name] for name in asked.format or known]
        if asked.file is not None:
            content, _, _ = made(chosen[0], asked.seed, asked.file)
            print(json.dumps([*read(chosen[0], content, folder, patience=0)], indent=1))
            return 0
        titles = f"{'records':>7} {'changed':>7} {'kept':>6} {'faults':>6} {'slowest':>8} {'peak':>7} neighbours"
        print(f"{'format':26} {titles}  dropped")
        return int(not all([watched(one, asked.seed, asked.records, raw) for one in chosen]))  # noqa: C419


def formats(raw: Path) -> Iterator[Format]:
    """`raw` holds what `bertmill sample` makes, or files of the same endings anywhere below it."""
    for module in (captures, tables, papers, repositories):
        yield from module.formats(raw)


def watched(one: Format, seed: int, records: int, raw: Path) -> bool:
    """Fuzz one format in processes of its own, a new one behind each that dies, and print what came of it."""
    total: Counter[str] = Counter()
    most = {"slowest": 0.0, "peak": 0}
    dropped: Counter[str] = Counter()
    faults: list[str] = []
    first, files = 0, -(-records // (1 if one.single or one.intact else TOGETHER))
    while first < files:
        command = [sys.executable, __file__, "--child", "--format", one.name, "--corpus", str(raw), "--seed", str(seed)]
        begun = first
        with subprocess.Popen(
            [*command, "--records", f"{files}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as reader:
            assert reader.stdin
            assert reader.stdout
            reader.stdin.write(f"{first}\n")
            reader.stdin.close()
            for line in reader.stdout:
                told = json.loads(line)
                first = told["file"] + 1
                total.update({key: told[key] for key in ("records", "changed", "mutants", "good", "twice", "expected")})
                most = {key: max(most[key], told[key]) for key in most}
                dropped.update(told["dropped"])
                faults += told["faults"]
        if first < files:
            if first == begun and faults and "died" in faults[-1]:
                faults.append("it dies whatever it reads")
                break
            faults.append(f"file {first}: the reader died ({reader.returncode})")
            first += 1
    counts = ", ".join(f"{reason} {n}" for reason, n in dropped.most_common(6))
    changed = f"{total['changed'] / max(total['records'], 1):.1%}"
    figures = f"{total['records']:7} {changed:>7} {total['mutants']:6} {len(faults):6}"
    figures += f" {most['slowest']:6.2f} s {int(most['peak']) >> 20:4} MB {total['good']}/{total['expected']}"
    figures += f" ({total['twice']} twice)" if total["twice"] else ""
    print(f"{one.name:26} {figures}  {counts}", flush=True)
    for fault in faults[:12]:
        print(f"    {fault}   --format '{one.name}' --seed {seed}", flush=True)
    return not faults and total["good"] == total["expected"]


def child(one: Format, seed: int, files: int, folder: Path) -> None:
    """Read the files from the one that standard input names on, a line of JSON each, within bounded memory."""
    first = int(sys.stdin.readline())
    for _ in read(one, made(one, seed, 0)[0], folder, patience=0):  # what is loaded or compiled at first use is no
        pass  # record's time or memory
    usual = expected_text(one, folder)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    status = _status()
    room = status["VmSize"] + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    for number in range(first, files):
        faulthandler.dump_traceback_later(LAST, exit=True)
        told = summed(one, seed, number, folder, usual)
        faulthandler.cancel_dump_traceback_later()
        programs = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        told["peak"] = max(_status()["VmHWM"] - status["VmRSS"], programs)
        print(json.dumps(told), flush=True)


def _status() -> dict[str, int]:
    """This process's memory in bytes, by the names that Linux has for it."""
    rows = (line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.endswith(" kB"))
    return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}


def expected_text(one: Format, folder: Path) -> str:
    """The text that a good record gives when nothing else is in its file."""
    if one.single:
        return ""
    (outcome,) = read(one, one.hold([one.good(_name(0, 0))]), folder, patience=0)
    return str(outcome["text"])


def summed(one: Format, seed: int, number: int, folder: Path, usual: str) -> dict[str, Any]:
    """What came of one file; `usual` is the text of the good record `_name(0, 0)`."""
    content, names, changed = made(one, seed, number)
    outcomes = [*read(one, content, folder)]
    kept = Counter(outcome["text"] for outcome in outcomes if "text" in outcome)
    times = {name: kept[usual.replace(_name(0, 0), name)] for name in names}
    good = [name for name in names if times[name]]
    lost = len(names) - len(good)
    return {
        "file": number,
        "records": 1 if one.single or one.intact else TOGETHER,
        "changed": changed,
        "mutants": kept.total() - sum(times.values()),
        "slowest": max((outcome["seconds"] for outcome in outcomes), default=0),
        "good": len(good),
        "twice": sum(n > 1 for n in times.values()),
        "expected": len(names),
        "dropped": Counter(outcome["reason"] for outcome in outcomes if "reason" in outcome),
        "faults": [f"file {number}: {outcome['fault']}" for outcome in outcomes if "fault" in outcome]
        + ([f"file {number}: {lost} neighbours lost or changed"] if lost else []),
    }


def _name(file: int, place: int) -> str:
    return f"zqneighbour{file:06}x{place:02}"


def made(one: Format, seed: int, number: int) -> tuple[bytes, list[str], int]:
    """File `number` of a format, the neighbours in it that have to be kept, and how many records are truly mutated.

    Good, mutated, good, ..., in every other file mutated, good, ...; or if it is the file that is mutated, good, real,
    good, ...
    """
    random = Random(f"{one.name} {seed} {number}")
    if one.single:
        seeds = [random.choice(one.seeds)]
        content = one.hold([mutated(seeds[0], one.seeds, random)])
        return content, [], int(content != one.hold(seeds))
    names = [_name(number, place) for place in range((SHARED if one.intact else TOGETHER) + 1)]
    good = [one.good(name) for name in names]
    seeds = [random.choice(one.seeds) for _ in names[1:]]
    if one.intact:
        whole = one.hold(_between(good, seeds))
        content = mutated(whole, [whole], random)
        spared = one.intact(whole, content)
        shown = [name for name in names if name.encode() in spared]
        return content, shown if content.startswith(whole) else shown[:-1], int(content != whole)
    bad = [mutated(record, one.seeds, random) for record in seeds]
    parts = _between(good, bad)
    return one.hold(parts[number % 2 :]), names[number % 2 :], sum(a != b for a, b in zip(seeds, bad, strict=True))


def _between(good: Sequence[bytes], others: Sequence[bytes]) -> list[bytes]:
    """Good, other, good, ..., good."""
    return [part for pair in zip(good, others, strict=False) for part in pair] + [*good[-1:]]


def read(one: Format, content: bytes, folder: Path, patience: float = PATIENCE) -> Iterator[dict[str, Any]]:
    """The outcomes of a file: its `text` or the `reason` it was dropped for, or a `fault` of the reader; `seconds`.

    Without `patience` it may take as long as it does.
    """
    path = folder / f"fuzzed{one.ending}"
    path.write_bytes(content)
    piece = Piece(str(path), path.name, path.stat().st_size)
    reader = next(reader for endings, reader in READERS[one.kind].items() if path.name.endswith(endings))
    signal.signal(signal.SIGALRM, _hang)
    began = time.perf_counter()
    try:
        outcomes = reader(piece, SOURCES[one.kind])
        while True:
            began = time.perf_counter()
            signal.setitimer(signal.ITIMER_REAL, 4 * patience)
            found = next(outcomes, None)
            if found is None:
                break
            told = _told(found.what, one.kind, path.name)
            seconds = time.perf_counter() - began
            if seconds > patience > 0:
                yield {"fault": f"a record took {seconds:.1f} s", "seconds": seconds}
            yield {**told, "seconds": seconds}
    except UnreadableFile as fault:
        several = {} if "\n" not in str(fault) else {"fault": f"{fault!r} is no single line"}
        yield {"reason": "bad_file", "seconds": time.perf_counter() - began, **several}
    except (Exception, HangError) as fault:
        where = traceback.extract_tb(fault.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        yield {"fault": f"{type(fault).__name__} {str(fault)[:120]} ({place})", "seconds": time.perf_counter() - began}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        path.unlink()


def _told(what: Document | Dropped, kind: str, name: str) -> dict[str, Any]:
    """The outcome, once it has been made what a stage writes."""
    if isinstance(what, Dropped):
        return {"reason": what.reason}
    row = record(what, "fuzz", kind, name)
    pa.RecordBatch.from_pylist([row], schema=SCHEMA)
    return {"text": row["text"]}


def _hang(number: int, frame: FrameType | None) -> None:
    raise HangError(f"no outcome within {4 * PATIENCE:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
