"""The corpus of bench/dedup/corpus.py -> its documents' signatures, as bertmill makes them, and which are similar."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.settings import Near


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The signatures of real documents."""

    keys: npt.NDArray[np.uint64]
    """(documents, bands)"""
    exact: npt.NDArray[np.uint64]
    """(documents, 2) equal where normalised texts are."""
    words: npt.NDArray[np.int32]
    bytes: npt.NDArray[np.int64]
    similar: npt.NDArray[np.int32]
    """The earlier document with J >= the threshold that would be kept for it, or itself."""

    def __len__(self) -> int:
        return len(self.words)


def profile(near: Near) -> Profile:
    """Kept beside the corpus; made at first use (three minutes)."""
    from bench.dedup.corpus import HOME, corpus, read
    from bench.dedup.ours import write_texts

    path = HOME / f"profile-{near.bands}x{near.rows}.npz"
    if not path.exists():
        texts = [document["text"] for document in read(corpus())]
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
            write_texts(texts, Path(folder))
            made = _signed(Path(folder), near, _first_similar(texts, near.threshold))
        np.savez(path, **asdict(made))
    with np.load(path) as stored:
        return Profile(**stored)


def _signed(folder: Path, near: Near, similar: npt.NDArray[np.int32]) -> Profile:
    """Run the stages up to the signatures, and put their rows into the order of the documents."""
    import pyarrow.parquet as pq

    from bench.dedup.ours import timed_stages, write_recipe

    recipe = write_recipe(folder / "recipe.yaml", folder / "part-*.jsonl", f"{near.bands}x{near.rows}")
    timed_stages(recipe, folder / "work", "signatures")
    paths = sorted((folder / "work" / "signatures" / "t").glob("*.parquet"))
    signed = pq.read_table(paths)
    told = pq.read_table(sorted((folder / "work" / "filter" / "t").glob("*.parquet")), columns=["id", "metadata"])
    assert signed["id"] == told["id"]
    number = np.array([int(json.loads(text)["id"]) for text in told["metadata"].to_pylist()])
    order = np.argsort(number)
    keys = np.stack([signed[f"band_{b:02}"].fill_null(0).to_numpy() for b in range(near.bands)], axis=1)
    exact = np.frombuffer(b"".join(signed["exact"].to_pylist()), np.uint64).reshape(-1, 2)
    return Profile(
        keys=keys[order],
        exact=exact[order],
        words=signed["words"].to_numpy()[order],
        bytes=signed["bytes"].to_numpy()[order],
        similar=similar[number[order]],
    )


def _first_similar(texts: list[str], threshold: float) -> npt.NDArray[np.int32]:
    """Greedy in the order of the documents: one is kept unless an earlier kept one is similar."""
    from bench.dedup.jaccard import shingle_sets, similar

    a, b, _ = similar(shingle_sets(texts), threshold)
    earlier, later = np.minimum(a, b), np.maximum(a, b)
    instead = np.arange(len(texts), dtype=np.int32)
    for pair in np.lexsort((earlier, later)):
        x, y = earlier[pair], later[pair]
        if instead[x] == x and instead[y] == y:
            instead[y] = x
    return instead
