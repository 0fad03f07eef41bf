"""Ids are those of the library, whatever the text holds and however long it is."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE, WordLevel
from tokenizers.normalizers import NFC, Lowercase
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

import packing.encode
from packing.adversarial import adversarial
from packing.encode import EncodeError, Encoder, id_dtype
from packing.pieces import BOUNDARY, pieces, spanned

NAMES = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
TEXT = (
    "It's 1984; they've read 3rd-rate prose.\n\n    if x1 == 0:\n        return 'naïve café' + \"日本語テキスト\"\t\r\n"
)


def trained() -> Tokenizer:
    """A byte-level BPE as ModernBERT's: NFC, runs of spaces and a placeholder added, [MASK] with lstrip."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = NFC()
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(vocab_size=600, initial_alphabet=ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator([TEXT * 5, "the cat sat on the mat " * 20, "0123456789 " * 9], trainer)
    tokenizer.add_tokens([AddedToken(" " * n, normalized=False) for n in (8, 4, 3, 2)])
    tokenizer.add_tokens([AddedToken("|||EMAIL_ADDRESS|||", normalized=False)])
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False, lstrip=n == "[MASK]") for n in NAMES])
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return tokenizer


def encoder(folder: Path, tokenizer: Tokenizer | None = None) -> Encoder:
    (tokenizer or trained()).save(str(folder / "tokenizer.json"))
    return Encoder(folder / "tokenizer.json")


def plain(tokenizer: Tokenizer, text: str) -> list[int]:
    """The library's own answer, the text as a whole."""
    tokenizer.encode_special_tokens = True
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


ADDED = ["[MASK]", "|||EMAIL_ADDRESS|||", "  ", "    "]


def test_ids_and_counts_are_those_of_the_library(tmp_path: Path) -> None:
    texts = [TEXT, "", "the cat", *adversarial(300, ADDED), ""]
    ids, counts = encoder(tmp_path).encode(texts)
    expected = [plain(trained(), text) for text in texts]
    assert counts.tolist() == [len(part) for part in expected]
    assert ids.tolist() == [token for part in expected for token in part]
    assert [str(part.dtype) for part in (ids, counts)] == ["uint32", "int64"]


def test_no_texts_give_no_ids(tmp_path: Path) -> None:
    ids, counts = encoder(tmp_path).encode([])
    assert (str(ids.dtype), len(ids), len(counts)) == ("uint32", 0, 0)


def test_a_text_cut_anywhere_that_is_allowed_has_the_ids_of_the_whole() -> None:
    tokenizer, dice = trained(), random.Random(0)
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    cuts = 0
    for text in [*adversarial(1500, ADDED), TEXT, unicodedata.normalize("NFD", TEXT)]:
        whole = plain(tokenizer, text)
        cut_here = [match.end() for match in BOUNDARY.finditer(text) if not spanned(text, match.end(), added)]
        for cut in dice.sample(cut_here, min(len(cut_here), 12)):
            parts = text[:cut], text[cut:]
            assert [token for part in parts for token in plain(tokenizer, part)] == whole, repr(parts)
            cuts += 1
    assert cuts > 5000


@pytest.mark.parametrize("size", [1, 7, 100])
def test_pieces_of_a_text_join_to_it(size: int) -> None:
    for text in [*adversarial(50), "", "x" * 500, "日" * 300]:
        assert "".join(pieces(text, size)) == text
    assert list(pieces("aa bb cc1 ", 3)) == ["aa bb", " cc", "1 "]
    assert list(pieces("aa bb cc1 ", 3, ["b cc"])) == ["aa bb cc", "1 "]


def test_long_texts_are_cut_and_have_the_ids_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing.encode, "PIECE", 100)
    monkeypatch.setattr(packing.encode, "GROUP", 400)
    texts = ["".join(adversarial(40)), "", TEXT * 30, "a"]
    assert len([*pieces(texts[2], 100)]) > 9
    ids, counts = encoder(tmp_path).encode(texts)
    expected = [plain(trained(), text) for text in texts]
    assert counts.tolist() == [len(part) for part in expected]
    assert ids.tolist() == [token for part in expected for token in part]


def test_the_name_of_a_special_token_in_a_text_stays_text(tmp_path: Path) -> None:
    ours = encoder(tmp_path)
    text = "a [MASK] b[CLS]c [SEP][PAD][UNK]"
    ids, _ = ours.encode([text])
    assert not set(ids.tolist()) & set(ours.special_ids)
    assert ByteLevelDecoder().decode([str(trained().id_to_token(token)) for token in ids.tolist()]) == text


def test_the_ids_of_special_tokens_and_the_size_of_the_vocabulary(tmp_path: Path) -> None:
    tokenizer = trained()
    ours = encoder(tmp_path, tokenizer)
    vocab: dict[str, int] = tokenizer.get_vocab()
    expected = [vocab[name] for name in NAMES]
    assert [ours.unk, ours.cls, ours.sep, ours.pad, ours.mask] == expected
    assert ours.special_ids == (*sorted(expected),)
    assert ours.vocab_size == tokenizer.get_vocab_size()
    assert ours.dtype == np.uint16


def test_ids_fit_their_dtype() -> None:
    assert id_dtype(50_368) == id_dtype(65_535) == np.uint16
    assert id_dtype(65_536) == id_dtype(128_000) == np.uint32


def test_the_bytes_of_a_texts_tokens_sum_to_the_bytes_of_the_text(tmp_path: Path) -> None:
    ours = encoder(tmp_path)
    sizes = ours.token_bytes()
    assert (str(sizes.dtype), len(sizes)) == ("int32", ours.vocab_size)
    for text in [TEXT, "mail |||EMAIL_ADDRESS||| me        now", *adversarial(300, ADDED)]:
        ids, _ = ours.encode([text])
        assert sizes[ids].sum() == len(unicodedata.normalize("NFC", text).encode())
    assert not sizes[list(ours.special_ids)].any()


def test_truncation_and_padding_in_the_file_are_not_obeyed(tmp_path: Path) -> None:
    tokenizer = trained()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=16)
    _, counts = encoder(tmp_path, tokenizer).encode([TEXT, "a"])
    assert counts.tolist() == [len(plain(trained(), TEXT)), 1]


def uncut() -> list[Tokenizer]:
    """Tokenizers whose words may reach over a boundary, or whose text is rewritten first."""
    other = [trained() for _ in range(6)]
    other[0].normalizer = Lowercase()
    other[1].pre_tokenizer = ByteLevel(add_prefix_space=True)
    other[2].pre_tokenizer = Sequence([Digits(), ByteLevel(add_prefix_space=False)])
    other[3].pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    other[4].add_tokens([AddedToken("New York", normalized=True)])
    other[5].add_tokens([AddedToken("York", rstrip=True, normalized=False)])
    return other


@pytest.mark.parametrize("which", range(6))
def test_a_tokenizer_without_the_proof_gets_its_texts_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("cut")

    tokenizer = uncut()[which]
    ours, cutting = encoder(tmp_path, tokenizer), encoder(tmp_path)
    monkeypatch.setattr(packing.encode, "pieces", refuse)
    monkeypatch.setattr(packing.encode, "PIECE", 100)
    text = "New York 12 york " * 9
    with pytest.raises(AssertionError, match="cut"):
        cutting.encode([text])
    assert ours.encode([text])[0].tolist() == plain(tokenizer, text)


def test_a_forked_worker_encodes_after_its_parent_did(tmp_path: Path) -> None:
    ours = encoder(tmp_path)
    texts = [TEXT] * 64
    ids, _ = ours.encode(texts)
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(ours.encode, [texts, texts]).get(timeout=20)
    assert all(np.array_equal(part, ids) for part, _ in found)


def test_a_file_that_is_no_tokenizer_is_told_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    for name in ("tokenizer.json", "missing.json"):
        with pytest.raises(EncodeError, match=rf"{name}: is not a tokenizer\.json"):
            Encoder(tmp_path / name)


def test_a_tokenizer_without_a_special_token_is_refused(tmp_path: Path) -> None:
    kept: dict[str, Any] = json.loads(trained().to_str())
    kept["added_tokens"] = [token for token in kept["added_tokens"] if token["content"] != "[MASK]"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(kept))
    with pytest.raises(EncodeError, match=r"tokenizer\.json: has no \[MASK\]; add it as a special token"):
        Encoder(tmp_path / "tokenizer.json")


def test_tokens_that_are_not_made_of_bytes_have_no_byte_counts(tmp_path: Path) -> None:
    words = {name: number for number, name in enumerate([*NAMES, "日本"])}
    with pytest.raises(EncodeError, match="token '日本' is not made of bytes"):
        encoder(tmp_path, Tokenizer(WordLevel(words, unk_token="[UNK]"))).token_bytes()
