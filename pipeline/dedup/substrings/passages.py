"""Documents and the anchors that recur -> passages: the parts of documents in which a repeated window can lie.

Every window of n tokens that occurs twice lies in a passage whole, with all its tokens, as does every window next to
it that may be repeated. Passages hold their tokens in their written form, so that what follows reads no document again
but those that are cut. They are kept uncompressed and mapped, to be read at any place.

Memory: 16 bytes for each different anchor of the file that recurs, one row group of text, and 60 bytes for each
token of a longer document. Disk: the bytes of the passages.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from pipeline.dedup.substrings.anchors import anchors
from pipeline.dedup.substrings.ranges import Known, answers
from pipeline.dedup.substrings.tokens import Bytes, Places, Written, pieces, written
from pipeline.documents import id_words, read_batches, text_bytes
from pipeline.tally import Tally
from pipeline.units import Unit

PASSAGES = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("high", pa.uint64(), nullable=False),
        pa.field("low", pa.uint64(), nullable=False),
        pa.field("first", pa.int64(), nullable=False),
        pa.field("text", pa.large_binary(), nullable=False),
    ]
)
"""In the order of the documents: a document's row in its file, the halves of its id, the passage's first token as the
document counts them, and the tokens in their written form."""


def find_passages(
    unit: Unit, out: Path, tally: Tally, *, before: int, recurring: Sequence[Path], tokens: int
) -> None:  # fmt: skip
    """Write the passages of a file of documents, whole; the unit's number and the files `before` are its number.

    `recurring`: the files of answers. Raises StageError for one that cannot be read.
    """
    known = Known(answers(recurring, before + unit.number)["hash"])
    (piece,) = unit.pieces
    rows = 0
    with pa.ipc.new_file(out, PASSAGES) as writer:
        for batch in read_batches(Path(piece.path), columns=["id", "text"]):
            size = text_bytes(batch)
            tally.read(batch.num_rows, size)
            for begin, words in pieces(batch.column("text")):
                text = written(words)
                spans = passages(text, known, tokens)
                if len(spans):
                    ids = batch.column("id").slice(begin, len(words))
                    writer.write_batch(_batch(text, spans, ids, rows + begin))
                tally.more["passages"] += len(spans)
            tally.kept(batch.num_rows, size)
            rows += batch.num_rows


def passages(text: Written, known: Known, tokens: int) -> Places:
    """(passages, 2) the tokens of each, in order."""
    hashes, windows = anchors(text, tokens)
    return _united(windows[known.find(hashes) >= 0], tokens)


def _batch(text: Written, spans: Places, ids: pa.Array, before: int) -> pa.RecordBatch:
    documents = np.searchsorted(text.bounds, spans[:, 0], side="right") - 1
    high, low = id_words(ids)
    offsets = np.zeros(len(spans) + 1, np.int64)
    offsets[1:] = np.cumsum(text.starts[spans[:, 1]] - text.starts[spans[:, 0]])
    data = np.empty(offsets[-1], np.uint8)
    _copy(text.data, text.starts[spans], data)
    texts = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(spans), [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    first = spans[:, 0] - text.bounds[documents]
    columns = [before + documents, high[documents], low[documents], first]
    return pa.record_batch([*map(pa.array, columns), texts], schema=PASSAGES)


@njit(cache=True)
def _united(windows: Places, tokens: int) -> Places:
    """Runs of windows (first, end) -> the tokens of those that overlap, as one."""
    out, n = np.empty((len(windows), 2), np.int64), 0
    for i in range(len(windows)):
        end = windows[i, 1] - 1 + tokens
        if n and windows[i, 0] < out[n - 1, 1]:
            out[n - 1, 1] = end
        else:
            out[n, 0], out[n, 1] = windows[i, 0], end
            n += 1
    return out[:n]


@njit(cache=True)
def _copy(data: Bytes, spans: npt.NDArray[np.int64], out: Bytes) -> None:
    n = 0
    for s in range(len(spans)):
        for i in range(spans[s, 0], spans[s, 1]):
            out[n] = data[i]
            n += 1
