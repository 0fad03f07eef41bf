"""fastokens, the fastest encoder found that is exact, proven equal to `tokenizers` before it is used.

On 6,001 adversarial texts with four kinds of tokenizers it gave the ids of `tokenizers` on all, at 20 to 45 times its
speed (docs/encoding.md). Whether it does so for the tokenizer at hand is found out each time: on texts made by code
here, on the very data in packing/encode.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from packing.adversarial import adversarial

INSTALL = "pip install 'bertmill[fastokens]'"

ADVERSARIAL = 1000
"""Texts on which both must agree before the first document: some 0.1 s of `tokenizers`, once a process."""

SHOWN = 60
"""Characters of a text that are shown to the user."""


Encoded = tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]
"""Ids of texts end to end (T,), and how many each text has (N,)."""


class RefusedError(Exception):
    """The accelerator cannot be used for a tokenizer; the message is the reason, in one line."""


def not_installed() -> str:
    """Why there is no accelerator here, or nothing."""
    return "" if find_spec("fastokens") else f"fastokens is not installed; {INSTALL}"


class Accelerator:
    """fastokens with one tokenizer, in the calling thread: its threads would not live on in a forked worker."""

    def __init__(self, plain: str) -> None:
        """plain: what `tokenizer.json` holds. RefusedError where fastokens is missing or does not take it."""
        os.environ.setdefault("FASTOKENS_BPE_THREADS", "1")
        try:
            from fastokens import Tokenizer
        except ImportError:
            raise RefusedError(not_installed() or f"fastokens cannot be imported; {INSTALL}") from None
        try:
            self._tokenizer = Tokenizer.from_json_str(plain)
        except Exception as fault:  # the library raises nothing more special
            raise RefusedError(f"fastokens does not take this tokenizer ({' '.join(str(fault).split())})") from None

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The ids of texts, in which names of special tokens are text. RefusedError where the library fails."""
        try:
            ids, offsets = self._tokenizer.encode_batch_flat(texts, add_special_tokens=False, split_special_tokens=True)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as fault:  # a panic of the library is no Exception
            raise RefusedError(f"fastokens cannot encode a text ({' '.join(str(fault).split())})") from None
        ends = np.frombuffer(offsets, np.int64)
        return np.frombuffer(ids, np.uint32), ends[1:] - ends[:-1]


def proven(plain: str, reference: Callable[[Sequence[str]], Encoded], added: Sequence[str]) -> Accelerator:
    """An accelerator that gives the ids of `reference` on all adversarial texts; RefusedError says why there is none.

    added: contents of the added tokens, which are written into the texts.
    """
    accelerator = Accelerator(plain)
    texts = adversarial(ADVERSARIAL, added)
    if told := difference(accelerator.encode(texts), reference(texts), texts):
        raise RefusedError(told)
    return accelerator


def difference(ours: Encoded, reference: Encoded, texts: Sequence[str]) -> str:
    """What tells the user of the first text with other ids, or nothing."""
    (ids, counts), (wanted, sizes) = ours, reference
    if np.array_equal(counts, sizes) and np.array_equal(ids, wanted):
        return ""
    ends, ends_wanted = np.cumsum(counts), np.cumsum(sizes)
    for number, text in enumerate(texts):
        begin, begin_wanted = ends[number] - counts[number], ends_wanted[number] - sizes[number]
        if not np.array_equal(ids[begin : ends[number]], wanted[begin_wanted : ends_wanted[number]]):
            return f"fastokens gives other ids than tokenizers for {shown(text)}"
    raise AssertionError("ids differ in no text")


def shown(text: str) -> str:
    return ascii(text if len(text) <= SHOWN else text[:SHOWN]) + (" ..." if len(text) > SHOWN else "")
