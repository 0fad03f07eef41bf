"""The accelerator encodes only where it is proven equal to the library, and the user is told when it is not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.normalizers import NFC, Lowercase, Replace
from tokenizers.normalizers import Sequence as Normalizers
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence, Split
from tokenizers.trainers import BpeTrainer

import packing.encode
from packing.accelerated import ADVERSARIAL, Accelerator, RefusedError, difference, not_installed, proven, shown
from packing.adversarial import adversarial
from packing.encode import Encoder
from packing.stage import pack_documents, row_groups
from pipeline.tally import Tally
from pipeline.units import group
from tests.test_encode import NAMES, TEXT, encoder, plain, trained
from tests.test_pack_stage import documents

GPT4 = (
    r"""(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"""
    r"""|\s+(?!\S)|\s+"""
)


def made(normalizer: Any, words: Any) -> Tokenizer:
    tokenizer = Tokenizer(BPE())
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = words
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(vocab_size=700, initial_alphabet=sorted(ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator([TEXT * 5, *adversarial(200, NAMES)], trainer)
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False, lstrip=n == "[MASK]") for n in NAMES])
    return tokenizer


TOKENIZERS: dict[str, Callable[[], Tokenizer]] = {
    "ModernBERT's": trained,
    "GPT-2's": lambda: made(None, ByteLevel(add_prefix_space=False)),
    "a space before": lambda: made(NFC(), ByteLevel(add_prefix_space=True)),
    "GPT-4's": lambda: made(
        None, Sequence([Split(Regex(GPT4), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)])
    ),
    "digits": lambda: made(NFC(), Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])),
}


@pytest.mark.parametrize("which", TOKENIZERS)
def test_both_encoders_give_the_librarys_ids_on_adversarial_texts(tmp_path: Path, which: str) -> None:
    tokenizer = TOKENIZERS[which]()
    ours, slow = encoder(tmp_path, tokenizer), encoder(tmp_path, tokenizer)
    slow.refer("asked by the test")
    assert (ours.why_slow, ours.by, slow.by) == ("", "fastokens", "tokenizers")
    texts = [TEXT, *adversarial(300, NAMES, seed=7), TEXT * 30]
    expected = [plain(tokenizer, text) for text in texts]
    for each in (ours, slow):
        ids, counts = each.encode(texts)
        assert counts.tolist() == [len(part) for part in expected]
        assert ids.tolist() == [token for part in expected for token in part]
    assert (ours.by, ours.mixed) == ("fastokens", False)


def test_adversarial_texts_are_the_same_each_time_and_of_all_kinds() -> None:
    texts = adversarial(800, ["|||X|||"])
    assert texts == adversarial(800, ["|||X|||"]) != adversarial(800, ["|||X|||"], seed=1)
    whole = "".join(texts)
    assert whole == whole.encode().decode()
    for part in ("\r\n", "\u180e", "\u200d", "\u0301", "|||X|||", "[MASK]", " " * 50, "\ufffd", "'s", "\0", ""):
        assert any(part in text for text in texts), ascii(part)
    assert "" in texts
    assert any(len(text) > 99 and len({*text}) == 1 for text in texts)
    assert any(ord(one) > 0x10000 for one in whole)


def test_dropout_is_off(tmp_path: Path) -> None:
    tokenizer = trained()
    tokenizer.model.dropout = 0.5
    ours = encoder(tmp_path, tokenizer)
    ids, _ = ours.encode([TEXT])
    assert ids.tolist() == plain(trained(), TEXT)
    ours.refer("asked by the test")
    assert ours.encode([TEXT])[0].tolist() == ids.tolist()


def test_without_the_accelerator_the_library_encodes_and_tells_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not_installed() == ""
    monkeypatch.setitem(sys.modules, "fastokens", None)
    ours = encoder(tmp_path)
    assert ours.encode([TEXT])[0].tolist() == plain(trained(), TEXT)
    assert ours.by == "tokenizers"
    assert ours.why_slow.startswith("fastokens ")
    assert ours.why_slow.endswith("pip install 'bertmill[fastokens]'")


def test_a_tokenizer_that_the_accelerator_does_not_take_is_encoded_by_the_library(tmp_path: Path) -> None:
    tokenizer = made(Normalizers([Replace(Regex("a+"), "b"), Lowercase()]), Sequence([Digits(), ByteLevel()]))
    kept = json.loads(tokenizer.to_str())
    kept["normalizer"] = {"type": "Nmt"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(kept))
    ours = Encoder(tmp_path / "tokenizer.json")
    assert ours.encode(["Ab  12"])[0].tolist() == plain(Tokenizer.from_str(json.dumps(kept)), "Ab  12")
    assert ours.why_slow.startswith("fastokens does not take this tokenizer (")
    assert "\n" not in ours.why_slow


def other() -> str:
    """A tokenizer.json with other ids than `trained` for all that has letters."""
    kept = json.loads(trained().to_str())
    vocab = kept["model"]["vocab"]
    worded = [token for token in vocab if any("a" <= one <= "z" for one in token)]
    vocab.update(zip(worded, [vocab[token] for token in (*worded[1:], worded[0])], strict=True))
    return json.dumps(kept)


def test_an_accelerator_with_other_ids_is_refused_by_the_adversarial_texts() -> None:
    tokenizer = trained()

    def reference(texts: Any) -> Any:
        ids = [plain(tokenizer, text) for text in texts]
        return np.concatenate(ids).astype(np.uint32), np.array([len(part) for part in ids])

    proven(tokenizer.to_str(), reference, NAMES)
    with pytest.raises(RefusedError, match=r"^fastokens gives other ids than tokenizers for '.*'( \.\.\.)?$"):
        proven(other(), reference, NAMES)
    assert ADVERSARIAL >= 1000


def test_the_first_text_that_differs_is_told() -> None:
    right = np.array([1, 2, 3], np.uint32), np.array([1, 0, 2])
    assert difference(right, right, ["a", "", "bc"]) == ""
    for wrong in (
        (np.array([1, 2, 4], np.uint32), np.array([1, 0, 2])),
        (np.array([1, 2], np.uint32), np.array([1, 0, 1])),
    ):
        assert difference(wrong, right, ["a", "", "b\nc"]) == r"fastokens gives other ids than tokenizers for 'b\nc'"
    assert shown("é" * 100) == "'" + r"\xe9" * 60 + "' ..."


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Iterator[Accelerator]:
    """An accelerator that is let through although it differs."""
    accelerator = Accelerator(other())
    monkeypatch.setattr(packing.encode, "proven", lambda *_: accelerator)
    packing.encode._accelerator.cache_clear()
    yield accelerator
    packing.encode._accelerator.cache_clear()


def test_a_difference_in_the_very_data_is_found_and_the_call_encoded_by_the_library(
    tmp_path: Path, wrong: Accelerator
) -> None:
    text = "the cat sat on the mat"
    assert wrong.encode([text])[0].tolist() != plain(trained(), text)
    ours = encoder(tmp_path)
    assert (ours.by, ours.mixed) == ("fastokens", False)
    assert ours.encode(["12", text])[0].tolist() == plain(trained(), "12") + plain(trained(), text)
    assert (ours.by, ours.mixed) == ("tokenizers", False)
    assert ours.why_slow == "fastokens gives other ids than tokenizers for 'the cat sat on the mat'"


def test_texts_that_were_encoded_before_the_difference_are_told_of(tmp_path: Path, wrong: Accelerator) -> None:
    ours = encoder(tmp_path)
    ours.encode(["12 34"])
    assert (ours.by, ours.mixed) == ("fastokens", False)
    ours.encode(["the cat"])
    assert (ours.by, ours.mixed) == ("tokenizers", True)


def test_a_text_that_the_accelerator_fails_at_is_encoded_by_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: Accelerator
) -> None:
    class Panic(BaseException):
        pass

    class Broken:
        def encode_batch_flat(self, *_: Any, **__: Any) -> None:
            raise Panic("out of\nrange")

    monkeypatch.setattr(wrong, "_tokenizer", Broken())
    ours = encoder(tmp_path)
    assert ours.encode([TEXT])[0].tolist() == plain(trained(), TEXT)
    assert ours.why_slow == "fastokens cannot encode a text (out of range)"


def test_a_sample_of_all_texts_is_compared_the_first_ones_whole(tmp_path: Path) -> None:
    ours = encoder(tmp_path)
    ours.encode(["the cat sat on the mat. " * 40] * 60)
    assert ours._checked == ours._read == 57_600
    ours.encode(["the cat sat on the mat. " * 40] * 4000)
    assert 1 / 256 < (ours._checked - 65_536) / ours._read < 1 / 200
    before = ours._checked
    ours.encode(["a cat " * 10**6])
    ours.encode(["a cat " * 10**6])
    assert ours._checked <= before + 2 * packing.encode.CHECKED_AT_ONCE


def test_a_unit_with_a_difference_is_packed_by_the_library_from_its_first_document_and_told(
    tmp_path: Path, wrong: Accelerator
) -> None:
    path = tmp_path / "tokenizer.json"
    trained().save(str(path))
    texts = ["12 34 " * 50] * 3000 + ["the cat sat on the mat " * 9] * 900 + ["56 "] * 5
    (unit,) = group(row_groups(documents(tmp_path / "d", [texts])), 10**9)

    def packed(out: Path) -> Tally:
        tally = Tally()
        pack_documents(
            unit, out, tally, tokenizer=path, context=128, shortest=16, seed=1, source="s", holdout=0.2, training=True
        )
        tally.check("unit")
        return tally

    tally = packed(tmp_path / "found.mds")
    (note,) = tally.notes
    assert note.startswith("encoded by tokenizers, some 20 times as slowly as by fastokens: fastokens gives other ids")
    assert Tally.total([tally.counts(), tally.counts()])["notes"] == {note: 2}
    packing.encode._accelerator.cache_clear()
    wrong.encode = Accelerator(trained().to_str()).encode  # type: ignore[method-assign]
    right = packed(tmp_path / "right.mds")
    assert not right.notes
    assert {k: v for k, v in tally.counts().items() if k != "notes"} == right.counts()
    assert (tmp_path / "found.mds").read_bytes() == (tmp_path / "right.mds").read_bytes()
