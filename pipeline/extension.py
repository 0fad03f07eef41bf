"""An existing byte-level BPE + counts of words of a domain -> the same with more pieces.

Old ids, merges and special tokens stay. Each word is first cut as the old tokenizer cuts it; merges are then learned on
from there (merges.py) and put behind the old ones. No old merge holds a new piece, so texts without one keep their ids,
and each new piece stands for a known run of old ones: its parts, in `parts.json`, by which embeddings are begun.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
from tokenizers import Tokenizer

from pipeline.files import write_atomically
from pipeline.merges import Cells, learn
from pipeline.tally import Tally
from pipeline.tokenizer import LITERALS, MULTIPLE, TokenizerError, check_tokenizer, letters, opened
from pipeline.units import Unit
from pipeline.word_counts import gathered

AT_ONCE = 1 << 16
"""Words that are given to the old tokenizer together."""


def words_of(path: Path | None) -> tuple[tuple[str, ...], bool]:
    """How a tokenizer (None: a new one) cuts a text into words: its tokens that stand for text, whether it is put in
    NFC. Raises TokenizerError for one whose words are not GPT-2's."""
    if path is None:
        return LITERALS, True
    plain = json.loads(opened(path).to_str())
    if wrong := "; ".join(_unlike(plain)):
        raise TokenizerError(f"{path}: cannot be extended: {wrong}; take a byte-level BPE such as ModernBERT's")
    literals = tuple(token["content"] for token in plain["added_tokens"] if not token["special"])
    return literals, plain["normalizer"] is not None


def _unlike(plain: Mapping[str, Any]) -> Iterator[str]:
    """What keeps a tokenizer from being extended."""
    model, cutter = plain["model"], plain["pre_tokenizer"] or {}
    if model["type"] != "BPE":
        yield f"its model is {model['type']}"
    elif odd := [name for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback",
                                   "ignore_merges") if model.get(name)]:  # fmt: skip
        yield f"its model has {', '.join(odd)}"
    elif not set(letters()) <= model["vocab"].keys():
        yield "it has no token for some bytes"
    if (plain["normalizer"] or {"type": "NFC"}) != {"type": "NFC"}:
        yield f"it normalises by {plain['normalizer']['type']}"
    if cutter.get("type") != "ByteLevel" or not cutter.get("use_regex", True) or cutter.get("add_prefix_space"):
        yield "it cuts words otherwise than ByteLevel without a prefix space"
    for token in plain["added_tokens"]:
        if not token["special"] and (token["lstrip"] or token["rstrip"] or token["single_word"]):
            yield f"its token {token['content']!r} takes in what stands beside it"


def extend_tokenizer(unit: Unit, out: Path, tally: Tally, *, tokenizer: Path, pieces: int) -> None:
    """Write `tokenizer` with `pieces` more, learned from the words in the unit's files, and `parts/<name>` beside it.

    Raises TokenizerError for one that cannot be extended.
    """
    words_of(tokenizer)
    check_tokenizer(tokenizer)
    words = gathered([Path(piece.path) for piece in unit.pieces], tally)
    plain, parts = extended(opened(tokenizer), words, pieces)
    tally.more["new_pieces"] = len(parts)
    out.write_bytes(orjson.dumps(plain))
    Tokenizer.from_file(str(out))  # what cannot be opened is not signed
    told = {"ids": _ids(plain), "parts": {str(number): list(old) for number, old in parts.items()}}
    write_atomically(out.parent / "parts" / f"{unit.number:05}.json", orjson.dumps(told))


def extended(
    tokenizer: Tokenizer, words: pa.RecordBatch, pieces: int
) -> tuple[dict[str, Any], dict[int, tuple[int, ...]]]:
    """(`tokenizer.json`'s content with up to `pieces` more, new id -> old ids), from words with their counts.

    New ids follow on the old ones; [unused] tokens fill up to a multiple of 64.
    """
    plain = json.loads(tokenizer.to_str())
    model, added = plain["model"], plain["added_tokens"]
    model["vocab"] |= {token["content"]: token["id"] for token in added}  # else these would be numbered anew
    old = _ids(plain)
    texts = [""] * old
    for text, number in model["vocab"].items():
        texts[number] = text
    frozen = frozenset(texts)
    tokens, offsets = _cut(tokenizer, words)
    lengths = np.array([len(text) for text in texts], np.int32)
    try:
        cells = Cells(tokens, offsets, words["count"].to_numpy(), lengths)
    except ValueError as fault:
        raise TokenizerError(f"tokenizer.sample: {fault}") from None
    merges = learn(cells, texts, old + pieces, allowed=lambda text: text not in frozen)
    model["merges"] += [[texts[first], texts[second]] for first, second in merges]
    model["vocab"] |= {text: old + number for number, text in enumerate(texts[old:])}
    parts: dict[int, tuple[int, ...]] = {}
    for (first, second), to in merges.items():
        parts.setdefault(to, parts.get(first, (first,)) + parts.get(second, (second,)))
    _pad(added, len(texts))
    return plain, parts


def _cut(tokenizer: Tokenizer, words: pa.RecordBatch) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The words in the old tokenizer's ids: (ids end to end, offsets (words + 1))."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True  # a word is text, whatever it says
    found, counts = [np.empty(0, np.int32)], [np.zeros(1, np.int64)]
    for at in range(0, words.num_rows, AT_ONCE):
        texts = [word.decode() for word in words["word"].slice(at, AT_ONCE).to_pylist()]
        ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        found.append(np.array([number for one in ids for number in one], np.int32))
        counts.append(np.array([len(one) for one in ids], np.int64))
    return np.concatenate(found), np.concatenate(counts).cumsum()


def _ids(plain: Mapping[str, Any]) -> int:
    """How many ids a tokenizer has, by its highest."""
    return 1 + max(
        [
            int(number)
            for number in [*plain["model"]["vocab"].values(), *(token["id"] for token in plain["added_tokens"])]
        ]
    )


def _pad(added: list[dict[str, Any]], size: int) -> None:
    """Add [unused] tokens up to a multiple of 64 ids, numbered on from those there are."""
    used = [re.fullmatch(r"\[unused(\d+)\]", token["content"]) for token in added]
    number = 1 + max((int(match[1]) for match in used if match), default=-1)
    form = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added += [{"id": size + n, "content": f"[unused{number + n}]", **form} for n in range(-size % MULTIPLE)]


def read_parts(path: Path) -> tuple[int, dict[int, Sequence[int]]]:
    """(ids, new id -> old ids) as `parts.json` has them. Raises TokenizerError if it is none."""
    try:
        told = orjson.loads(path.read_bytes())
        return int(told["ids"]), {int(number): tuple(old) for number, old in told["parts"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        raise TokenizerError(f"{path}: is no list of the parts of pieces ({fault}); make the tokenizer anew") from None
