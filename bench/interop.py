"""Whether others read our shards, and we theirs: mosaicml-streaming, its forks, ModernBERT's way, plain PyTorch.

    python bench/interop.py [LIBRARY ...]          # or: make interop

Each library stands in an environment of its own (bench/peers.py). For ids of 16 and 32 bits it must read equal rows
from our folder and, unpacking them, from one that was sent to a store; what its MDSWriter makes of the same rows must
be our files byte for byte, and be read by us. Any difference ends with a traceback and exit code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

LIBRARIES = ("mosaicml-streaming", "streaming-community", "neprr-streaming")
COLUMNS = ("cu_seqlens", "doc", "input_ids")
KINDS = ("uint16", "uint32")
PAGE = Path(__file__).parents[1] / "docs" / "shards.md"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("libraries", nargs="*", metavar="LIBRARY", default=LIBRARIES)
    asked = options.parse_args()
    from bench.peers import ask, python

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in KINDS:
            _make(folder, kind)
        print(f"  plain PyTorch: {_page_example(folder / 'uint16')} rows as docs/shards.md reads them", flush=True)
        for library in asked.libraries:
            told = ask(python(library), __file__, library, folder)
            for kind in KINDS:
                _read_theirs(folder / kind / library, folder / kind / "ours")
            print(f"  {library} {told['version']}: " + ", ".join(told["equal"]), flush=True)


def _make(folder: Path, kind: str) -> None:
    """Our shards, the same in a store, and the rows as plain arrays."""
    from packing.shards import Shards, write_index, write_shard
    from packing.transport import send

    (folder / kind / "ours").mkdir(parents=True)
    rows = _rows(kind)
    info = write_shard(folder / kind / "ours" / "shard.00000.mds", rows)
    write_index(folder / kind / "ours", [info])
    list(send(folder / kind / "ours", str(folder / kind / "sent")))
    np.savez(folder / kind / "rows.npz", **dict(Shards(folder / kind / "ours").rows(range(len(rows)))._asdict()))


def _rows(kind: str) -> list[Any]:
    """700 rows of up to 1,024 tokens, one of a single token, one of 300 pieces, one of 70,000 tokens."""
    from packing.flat import Row

    dice = np.random.default_rng(5)
    pieces = [dice.integers(1, 400, dice.integers(1, 5)) for _ in range(700)]
    pieces += [np.array([1]), np.full(300, 3), np.array([69_000, 1_000])]
    most = np.iinfo(kind).max
    return [
        Row(
            dice.integers(0, most, int(some.sum()), dtype=kind, endpoint=True),
            np.cumsum([0, *some]).astype(np.int32),
            dice.integers(0, 1 << 63, len(some)).astype(np.uint64),
        )
        for some in pieces
    ]


def _page_example(folder: Path) -> int:
    """Run the page's example of plain PyTorch on our rows."""
    text = PAGE.read_text().split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(compile(text, str(PAGE), "exec"), names)
    expected = dict(np.load(folder / "rows.npz"))
    rows = names["Rows"](folder / "ours")
    batch = names["collate"]([rows[i] for i in range(len(rows))])
    for name in ("input_ids", "cu_seqlens", "doc"):
        assert np.array_equal(batch[name].numpy(), expected[name].astype(batch[name].numpy().dtype)), name
    return len(rows)


def _read_theirs(theirs: Path, ours: Path) -> None:
    from packing.shards import verify

    if theirs.exists():
        assert verify(theirs) == verify(ours)


def peer(library: str, folder: Path) -> dict[str, Any]:
    """In the library's environment: what of it is equal to ours."""
    from importlib.metadata import version

    if library == "neprr-streaming":
        import streaming  # type: ignore[import-not-found, unused-ignore]
    else:
        from mds_library import streaming as imported  # type: ignore[import-not-found, unused-ignore]

        streaming = imported()
    equal = []
    for kind in KINDS:
        flat = dict(np.load(folder / kind / "rows.npz"))
        work = folder / kind
        expected = list(_one_by_one(flat))
        _same(streaming.StreamingDataset(local=str(work / "ours"), shuffle=False, batch_size=1), expected)
        equal.append(f"{len(expected)} rows of {kind}")
        if library != "neprr-streaming":  # it reads packed shards, and writes any, with another configuration in them
            given = {"local": str(work / f"unpacked-{library}"), "remote": str(work / "sent"), "validate_hash": "xxh64"}
            _same(streaming.StreamingDataset(**given, shuffle=False, batch_size=1), expected)
            _modernbert(work / "ours", expected)
            equal.append("packed too, and the way of ModernBERT")
            _written_alike(streaming.MDSWriter, kind, work / library, work / "ours", expected)
            equal.append("files byte for byte")
    return {"version": version(library), "equal": equal}


def _written_alike(writer: Any, kind: str, theirs: Path, ours: Path, rows: list[dict[str, Any]]) -> None:
    columns = {"input_ids": f"ndarray:{kind}", "cu_seqlens": "ndarray:int32", "doc": "ndarray:uint64"}
    with writer(out=str(theirs), columns=columns, hashes=["xxh64"], compression=None, size_limit=None) as opened:
        for row in rows:
            opened.write(row)
    for name in ("shard.00000.mds", "index.json"):
        assert (theirs / name).read_bytes() == (ours / name).read_bytes(), theirs / name


def _one_by_one(flat: dict[str, Any]) -> Iterable[dict[str, Any]]:
    first = np.searchsorted(flat["cu_seqlens"], flat["bounds"])
    for row, (a, z) in enumerate(pairwise(first)):
        begin, end = flat["bounds"][row : row + 2]
        cu = (flat["cu_seqlens"][a : z + 1] - begin).astype(np.int32)
        yield {"input_ids": flat["input_ids"][begin:end], "cu_seqlens": cu, "doc": flat["doc"][a:z]}


def _same(found: Any, expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected)
    for one, other in zip((found[i] for i in range(len(found))), expected, strict=True):
        assert set(one) == set(COLUMNS)
        assert all(one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in COLUMNS)


def _modernbert(folder: Path, expected: list[dict[str, Any]]) -> None:
    """Rows by the parts of the library that ModernBERT's loader uses, cut into pieces for its packer."""
    from streaming.base.format import reader_from_json  # type: ignore[import-not-found, unused-ignore]
    from streaming.base.spanner import Spanner  # type: ignore[import-not-found, unused-ignore]

    index = json.loads((folder / "index.json").read_text())
    shards = [reader_from_json(str(folder), None, told) for told in index["shards"]]
    for shard in shards:
        shard.validate(True)
    spanner = Spanner(np.array([shard.samples for shard in shards], np.int64))
    for number, other in enumerate(expected):
        of, at = spanner[number]
        row = shards[of][at]
        pieces = np.split(row["input_ids"], row["cu_seqlens"][1:-1])
        assert np.array_equal(np.concatenate(pieces), other["input_ids"])
        assert [len(piece) for piece in pieces] == np.diff(other["cu_seqlens"]).tolist()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        print(json.dumps(peer(sys.argv[2], Path(sys.argv[3]))))
    else:
        main()
