"""How well the same hidden words of held-out text are guessed by models of any tokenizer.

The words to hide are chosen in the text, before any tokenizer sees it: every model is asked for the same bytes. All
tokens that touch a hidden word are replaced by the mask, and their surprise is summed; bits per byte are that sum over
the words' own UTF-8 bytes.

    text    the miller forgets the horse        hidden: "forgets"
    A       [the][ miller][ forgets][ the][ horse]      ->  1 mask
    B       [the][mill][##er][for][##gets][the][horse]  ->  2 masks, each guessed without the other
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from packing.flat import Rows
from packing.shuffle import permutation
from pipeline.tokenizer import letters
from train.masking import how_many

Ints = npt.NDArray[np.int64]

WORD = re.compile(r"(?:[^\W_]+(?:['’][^\W_]+)*|(?:[^\w\s]|_)+)")
"""Letters and digits with apostrophes between them, or signs: where the tokenizers of BERT, GPT-2 and their like cut
too, so that tokens hardly ever reach over a word's edge."""

LONGEST = 16
"""Characters of a word; a longer run (Chinese, base64) is several. It bounds what has to be guessed without a clue."""

RAW = 8.0
"""Bits for each byte of a hidden word that the model's tokens do not tell: it is sent as it is."""


@dataclass(frozen=True, kw_only=True)
class WordScore:
    bits_per_byte: float
    accuracy: float
    """Share of hidden words of which every token's likeliest is the right one."""
    words: int
    """Hidden words."""
    bytes: int
    """Their UTF-8 bytes."""
    tokens: int
    """Tokens that stand for them in this model."""
    unknown: int
    """Hidden words of which some part is an unknown token, or none, in this model."""
    asked: str
    """Hash of the texts and the hidden words. Scores of equal ones compare."""


class Window(NamedTuple):
    """Some tokens of a text with the special ones around them, as a model takes them."""

    ids: Ints
    """(T,): masks where a token is hidden."""
    places: Ints
    """(K,): of the hidden ones."""
    labels: Ints
    """(K,): what stood there."""
    words: Ints
    """(K,): the hidden word each belongs to, counted over all texts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Guesser:
    """A model with its own tokenizer, as far as guessing needs them."""

    tokenizer: Any
    """A `tokenizers.Tokenizer`."""
    before: Sequence[int]
    """Special tokens at the beginning of an input: [CLS]."""
    after: Sequence[int]
    mask: int
    unknown: int | None
    context: int
    """Tokens of an input at most, special ones too."""
    guess: Callable[[Sequence[Window]], Iterator[Tensor]]
    """Windows -> for one batch of them after the other, (K, V) logits at all their places."""


def score(guesser: Guesser, texts: Sequence[str], rate: float) -> WordScore | None:
    """Hide the share `rate` of each text's words; None where there is none to hide."""
    digest = hashlib.blake2b(digest_size=8)
    windows: list[Window] = []
    sizes: list[int] = []
    raw: list[int] = []
    for text in texts:
        spans = hidden(text, rate)
        digest.update(f"{text}\0{spans.tolist()}".encode())
        found, untold = _windows(guesser, text, spans, first=len(sizes))
        windows += found
        raw += untold
        sizes += [len(text[a:z].encode()) for a, z in spans.tolist()]
    if not sizes:
        return None
    windows.sort(key=lambda window: len(window.ids))  # the less to fill up
    nats, wrong = _guessed(guesser, windows)
    failed = np.array(raw) > 0
    for window, missed in zip(windows, wrong, strict=True):
        failed[window.words[missed]] = True
    return WordScore(
        bits_per_byte=(nats / math.log(2) + RAW * sum(raw)) / sum(sizes),
        accuracy=1 - float(failed.mean()),
        words=len(sizes),
        bytes=sum(sizes),
        tokens=sum(len(window.places) for window in windows),
        unknown=int(np.count_nonzero(raw)),
        asked=digest.hexdigest(),
    )


def words_in(text: str) -> Ints:
    """(W, 2): where each word begins and ends, in characters."""
    runs = (found.span() for found in WORD.finditer(text))
    parts = [(at, min(at + LONGEST, end)) for begin, end in runs for at in range(begin, end, LONGEST)]
    return np.array(parts, np.int64).reshape(-1, 2)


def hidden(text: str, rate: float) -> Ints:
    """(H, 2): the words to hide, in order: by the text's hash alone. Those of a lower rate are among a higher one's."""
    words = words_in(text)
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return words[np.sort(permutation(len(words), "words", digest)[: how_many(len(words), rate)])]


def _windows(guesser: Guesser, text: str, spans: Ints, first: int) -> tuple[list[Window], list[int]]:
    """The text as inputs of nearly equal length, as few as the context allows, those without a hidden token left out;
    and of each hidden word the bytes that its tokens do not tell."""
    encoding = guesser.tokenizer.encode(text, add_special_tokens=False)
    ids, offsets = np.array(encoding.ids, np.int64), np.array(encoding.offsets, np.int64).reshape(-1, 2)
    touched = np.searchsorted(spans[:, 1], offsets[:, 0], side="right")  # the first word that ends behind its beginning
    inside = np.append(spans[:, 0], len(text) + 1)[touched] < offsets[:, 1]
    places = np.flatnonzero(inside)
    room = guesser.context - len(guesser.before) - len(guesser.after)
    edges = np.linspace(0, len(ids), -(-len(ids) // room) + 1).astype(np.int64)
    masked = np.where(inside, guesser.mask, ids)
    windows = []
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        here = places[(places >= begin) & (places < end)]
        if len(here):
            flat = np.concatenate([guesser.before, masked[begin:end], guesser.after]).astype(np.int64)
            windows.append(Window(flat, here - begin + len(guesser.before), ids[here], first + touched[here]))
    return windows, _untold(text, spans, offsets[places[ids[places] != guesser.unknown]])


def _untold(text: str, spans: Ints, told: Ints) -> list[int]:
    """Bytes of each word that no token stands for but an unknown one.  told (K, 2): where the known tokens stand."""
    seen = np.zeros(len(text) + 1, np.bool_)
    for a, z in told.tolist():
        seen[a:z] = True
    return [sum(len(text[at].encode()) for at in range(a, z) if not seen[at]) for a, z in spans.tolist()]


@torch.no_grad()
def _guessed(guesser: Guesser, windows: Sequence[Window]) -> tuple[float, list[npt.NDArray[np.bool_]]]:
    """The surprise of all hidden tokens in nats, and of each window which of them were guessed wrong."""
    labels = np.concatenate([window.labels for window in windows]) if windows else np.zeros(0, np.int64)
    nats, at = 0.0, 0
    wrong = np.zeros(len(labels), np.bool_)
    for logits in guesser.guess(windows):
        here = torch.from_numpy(labels[at : at + len(logits)]).to(logits.device)
        nats += float(F.cross_entropy(logits.float(), here, reduction="none").double().sum())
        wrong[at : at + len(logits)] = (logits.argmax(-1) != here).cpu().numpy()
        at += len(logits)
    assert at == len(labels), "a guesser answers for every place"
    return nats, np.split(wrong, np.cumsum([len(window.labels) for window in windows])[:-1]) if windows else []


def texts_of(rows: Rows, tokens: Sequence[bytes]) -> list[str]:
    """The text of each piece in the rows; where a cut went through a character, that character is left out.

    tokens  (V,): the bytes of each token (`bytes_of`)
    """
    edges = rows.cu_seqlens.tolist()
    ids = rows.input_ids.tolist()
    pieces = (b"".join(tokens[token] for token in ids[a:z]) for a, z in pairwise(edges))
    return [piece.decode("utf-8", errors="ignore") for piece in pieces]


def bytes_of(tokenizer: Any) -> list[bytes]:
    """What each token of a byte-level tokenizer stands for; special ones for nothing."""
    byte = {letter: bytes([number]) for number, letter in enumerate(letters())}
    added = tokenizer.get_added_tokens_decoder()
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    found = [b""] * (max(vocabulary.values()) + 1)
    for token, number in vocabulary.items():
        if number not in added:
            found[number] = b"".join(byte[letter] for letter in token)
        elif not added[number].special:
            found[number] = token.encode()
    return found
