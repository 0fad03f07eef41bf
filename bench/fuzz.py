"""Mutated records of every format, good neighbours between them: no crash, no hang, little memory, no neighbour lost.

    python bench/fuzz.py [--records 10000] [--format NAME ...] [--corpus DIR] [--seed 1]

The readers run as the ingest stage runs them, in a process of their own with `ROOM` of memory above what the imports
take and `PATIENCE` a record. Prints a line a format, and how to repeat each fault. Without --corpus the records are
what `bertmill sample` makes; a corpus may hold formats that it does not make (PDF, PubMed, Arrow).
"""

from __future__ import annotations

import argparse
import contextlib
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

from bench.formats import Format, formats
from bench.mutations import mutated
from pipeline.documents import SCHEMA, Document, record
from pipeline.ingest.reading import UnreadableFile
from pipeline.ingest.stage import READERS
from pipeline.sample import sample
from pipeline.settings import CodeSource, ScienceSource, Source, TextSource, WebSource
from pipeline.units import Piece

ROOM = 1 << 30
"""Bytes of memory above those of the bare interpreter with its imports."""

PATIENCE = 5.0
"""Seconds of a record."""

TOGETHER = 20
"""Mutated records of a file, where a file has several."""

SOURCES: dict[str, Source] = {
    "web": WebSource(kind="web", read="x"),
    "code": CodeSource(kind="code", read="x"),
    "science": ScienceSource(kind="science", read="x"),
    "text": TextSource(kind="text", read="x"),
}


class HangError(Exception):
    """A record took longer than `PATIENCE`."""


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
        known = {one.name: one for one in formats(raw)}
        if unknown := set(asked.format) - set(known):
            parser.error(f"no format {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
        chosen = [known[name] for name in asked.format or known]
        if asked.file is not None:
            print(json.dumps([*read(chosen[0], asked.seed, asked.file, folder)], indent=1))
            return 0
        if asked.child:
            child(chosen[0], asked.seed, asked.records, folder)
            return 0
        print(f"{'format':18} {'records':>7} {'kept':>6} {'faults':>6} {'slowest':>8} {'peak':>7} neighbours  dropped")
        return int(not all([watched(one, asked.seed, asked.records, raw) for one in chosen]))  # noqa: C419


def watched(one: Format, seed: int, records: int, raw: Path) -> bool:
    """Fuzz one format in processes of its own, a new one behind each that dies, and print what came of it."""
    total: dict[str, Any] = {"records": 0, "documents": 0, "slowest": 0.0, "good": 0, "expected": 0, "peak": 0}
    dropped: Counter[str] = Counter()
    faults: list[str] = []
    first, files = 0, -(-records // (1 if one.single or one.container else TOGETHER))
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
                for key in ("records", "documents", "good", "expected"):
                    total[key] += told[key]
                for key in ("slowest", "peak"):
                    total[key] = max(total[key], told[key])
                dropped.update(told["dropped"])
                faults += told["faults"]
        if first < files:
            if first == begun and faults and "died" in faults[-1]:
                faults.append("it dies whatever it reads")
                break
            faults.append(f"file {first}: the reader died ({reader.returncode})")
            first += 1
    counts = ", ".join(f"{reason} {n}" for reason, n in dropped.most_common(6))
    near = f"{total['good']}/{total['expected']}" + (" (in what is mutated)" if one.container else "")
    peak, slowest = f"{total['peak'] >> 20} MB", f"{total['slowest']:.2f} s"
    figures = f"{total['records']:7} {total['documents']:6} {len(faults):6} {slowest:>8} {peak:>7}"
    print(f"{one.name:18} {figures} {near}  {counts}", flush=True)
    for fault in faults[:12]:
        print(f"    {fault}   --format '{one.name}' --seed {seed}")
    return not faults and (one.container or total["good"] == total["expected"])


def child(one: Format, seed: int, files: int, folder: Path) -> None:
    """Read the files from the one that standard input names on, a line of JSON each, within bounded memory."""
    first = int(sys.stdin.readline())
    for _ in read(one, seed, 0, folder):  # what is loaded at first use is no record's memory
        pass
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    room = int(status["VmSize"].split()[0]) * 1024 + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    before = int(status["VmRSS"].split()[0]) * 1024
    for number in range(first, files):
        told = summed(one, seed, number, folder)
        told["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
        print(json.dumps(told), flush=True)


def summed(one: Format, seed: int, number: int, folder: Path) -> dict[str, Any]:
    """What came of one file."""
    outcomes = [*read(one, seed, number, folder)]
    mutants = 1 if one.single or one.container else TOGETHER
    names = _names(one, number)
    kept = [outcome["text"] for outcome in outcomes if "text" in outcome]
    good = sum(any(name in text for text in kept) for name in names)
    return {
        "file": number,
        "records": mutants,
        "documents": len(kept),
        "slowest": max((outcome["seconds"] for outcome in outcomes), default=0),
        "good": good,
        "expected": len(names),
        "dropped": Counter(outcome["reason"] for outcome in outcomes if "reason" in outcome),
        "faults": [f"file {number}: {outcome['fault']}" for outcome in outcomes if "fault" in outcome]
        + ([] if one.container or good == len(names) else [f"file {number}: {len(names) - good} neighbours lost"]),
    }


def _names(one: Format, number: int) -> list[str]:
    return [f"zqneighbour{number:06}x{n:02}" for n in range(0 if one.single else TOGETHER + 1)]


def made(one: Format, seed: int, number: int) -> bytes:
    """File `number` of a format: good, mutated, good, ... or if it is the file that is mutated, good ones alone."""
    random = Random(f"{one.name} {seed} {number}")
    good = [one.good(name) for name in _names(one, number)]
    if one.container:
        return mutated(one.hold(good), [one.hold(one.seeds[:9])], random)
    bad = [mutated(random.choice(one.seeds), one.seeds, random) for _ in range(1 if one.single else TOGETHER)]
    if one.single:
        return one.hold(bad)
    return one.hold([part for pair in zip(good, bad, strict=False) for part in pair] + good[-1:])


def read(one: Format, seed: int, number: int, folder: Path) -> Iterator[dict[str, Any]]:
    """The outcomes of a file: its `text` or the `reason` it was dropped for, or a `fault` of the reader; `seconds`."""
    path = folder / f"{number}{one.ending}"
    path.write_bytes(made(one, seed, number))
    piece = Piece(str(path), path.name, path.stat().st_size)
    reader = next(reader for endings, reader in READERS[one.kind].items() if path.name.endswith(endings))
    signal.signal(signal.SIGALRM, _hang)
    began = time.perf_counter()
    try:
        outcomes = reader(piece, SOURCES[one.kind])
        while True:
            began = time.perf_counter()
            signal.setitimer(signal.ITIMER_REAL, 4 * PATIENCE)
            found = next(outcomes, None)
            seconds = time.perf_counter() - began
            if found is None:
                break
            if seconds > PATIENCE:
                yield {"fault": f"a record took {seconds:.1f} s", "seconds": seconds}
            if isinstance(found.what, Document):
                row = record(found.what, "fuzz", one.kind, path.name)
                pa.RecordBatch.from_pylist([row], schema=SCHEMA)
                yield {"text": row["text"], "seconds": seconds}
            else:
                yield {"reason": found.what.reason, "seconds": seconds}
    except UnreadableFile:
        yield {"reason": "bad_file", "seconds": time.perf_counter() - began}
    except Exception as fault:
        where = traceback.extract_tb(fault.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        yield {"fault": f"{type(fault).__name__} {str(fault)[:120]} ({place})", "seconds": time.perf_counter() - began}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        path.unlink()


def _hang(number: int, frame: FrameType | None) -> None:
    raise HangError(f"no outcome within {4 * PATIENCE:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
