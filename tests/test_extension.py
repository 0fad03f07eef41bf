"""An existing tokenizer learns pieces of a domain: nothing old moves, and each new piece is a known run of old ones."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from model.extend import over, rows_of_parts
from pipeline.extension import extend_tokenizer, read_parts, words_of
from pipeline.pretokens import WordTable
from pipeline.tally import Tally
from pipeline.tokenizer import LITERALS, TokenizerError, publish, trained
from pipeline.units import Piece, Unit
from pipeline.word_counts import PARTS, SCHEMA, _write, gathered
from tests.test_tokenizer import corpus, counted

DOMAIN = [
    "immunoglobulin hypergammaglobulinaemia immunodeficiency, immunosuppression -- of lymphocytes",
    "lymphocyte lymphoblast lymphoma; immunoblastic lymphadenopathy and hypergammaglobulinaemia 12 %",
]


def old_tokenizer(folder: Path, vocab: int = 576) -> Path:
    unit, _ = counted([corpus(folder)], folder / "words")
    tokenizer = trained(gathered([Path(piece.path) for piece in unit.pieces], Tally()), vocab)
    tokenizer.save(str(folder / "old.json"))
    return folder / "old.json"


def domain(folder: Path, texts: list[str]) -> Unit:
    table = WordTable(LITERALS)
    raw = [text.encode() for text in texts]
    table.count(np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)]))
    path = folder / "domain.arrow"
    with pa.ipc.new_file(str(path), SCHEMA) as writer:
        _write(writer, table)
    assert pa.ipc.open_file(str(path)).num_record_batches == PARTS
    return Unit(0, (Piece(str(path), path.name, 1),))


def extended(folder: Path, pieces: int = 40) -> tuple[Tokenizer, Tokenizer, dict[int, Sequence[int]]]:
    old = old_tokenizer(folder)
    extend_tokenizer(domain(folder, DOMAIN * 20), folder / "00000.json", Tally(), tokenizer=old, pieces=pieces)
    _, parts = read_parts(folder / "parts" / "00000.json")
    return Tokenizer.from_file(str(old)), Tokenizer.from_file(str(folder / "00000.json")), parts


def test_old_ids_and_special_tokens_stay_and_new_pieces_follow_them(tmp_path: Path) -> None:
    old, new, parts = extended(tmp_path)
    before, after = old.get_vocab(), new.get_vocab()
    assert before.items() <= after.items()
    assert sorted(parts) == list(range(576, 616))
    assert new.get_vocab_size() == 640  # a multiple of 64
    unused = [new.id_to_token(number) for number in range(616, 640)]
    last = max(int(name[7:-1]) for name in before if name.startswith("[unused"))
    assert unused == [f"[unused{last + 1 + n}]" for n in range(24)]
    assert {t.content: (t.lstrip, t.special) for t in old.get_added_tokens_decoder().values()}.items() <= {
        t.content: (t.lstrip, t.special) for t in new.get_added_tokens_decoder().values()
    }.items()


def test_a_text_is_cut_as_before_but_for_new_pieces_which_are_their_parts(tmp_path: Path) -> None:
    old, new, parts = extended(tmp_path)
    dice = random.Random(1)
    signs = [*"imnologbuhyper -12", "lympho", "immuno", "the quick", "  ", "[MASK]", "\u00e9", "e\u0301"]
    for text in [*DOMAIN, *("".join(dice.choices(signs, k=40)) for _ in range(300))]:
        found = new.encode(text).ids
        assert [part for number in found for part in parts.get(number, (number,))] == old.encode(text).ids
    assert len(new.encode(DOMAIN[0]).ids) < len(old.encode(DOMAIN[0]).ids)
    assert new.encode("the quick brown fox").ids == old.encode("the quick brown fox").ids


def test_the_parts_and_the_tokenizer_are_found_by_their_names(tmp_path: Path) -> None:
    _, _, parts = extended(tmp_path)
    publish(tmp_path, [])
    assert read_parts(tmp_path / "parts.json") == (640, parts)
    assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).get_vocab_size() == 640
    (tmp_path / "parts.json").unlink()
    (tmp_path / "parts.json").write_text("[]")
    with pytest.raises(TokenizerError, match=r"parts\.json: is no list of the parts"):
        read_parts(tmp_path / "parts.json")


def test_a_domain_without_anything_new_adds_nothing(tmp_path: Path) -> None:
    old = old_tokenizer(tmp_path)
    extend_tokenizer(domain(tmp_path, ["a"]), tmp_path / "00000.json", Tally(), tokenizer=old, pieces=50)
    assert Tokenizer.from_file(str(tmp_path / "00000.json")).get_vocab() == Tokenizer.from_file(str(old)).get_vocab()


def variant(folder: Path, **changes: object) -> Path:
    plain = json.loads(old_tokenizer(folder).read_text())
    for key, value in changes.items():
        plain["model" if key == "dropout" else key] = plain["model"] | {key: value} if key == "dropout" else value
    (folder / "variant.json").write_bytes(orjson.dumps(plain))
    return folder / "variant.json"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "it normalises by Lowercase"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "it cuts words otherwise"),
        ({"pre_tokenizer": None}, "it cuts words otherwise"),
        ({"dropout": 0.1}, "its model has dropout"),
    ],
)
def test_a_tokenizer_with_other_words_is_refused(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(TokenizerError, match=rf"variant\.json: cannot be extended: {said}"):
        words_of(variant(tmp_path, **changes))


def test_a_wordpiece_is_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.save(str(tmp_path / "w.json"))
    with pytest.raises(TokenizerError, match="its model is WordPiece"):
        words_of(tmp_path / "w.json")


def test_a_prefix_space_and_tokens_that_take_in_their_neighbours_are_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(old_tokenizer(tmp_path)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder, tokenizer.normalizer = decoders.ByteLevel(), normalizers.NFC()
    tokenizer.add_tokens([AddedToken("<gene>", lstrip=True)])
    tokenizer.save(str(tmp_path / "p.json"))
    with pytest.raises(TokenizerError, match=r"without a prefix space; its token '<gene>' takes in"):
        words_of(tmp_path / "p.json")


def test_a_new_row_is_the_mean_of_its_parts_and_old_rows_stay_to_the_bit() -> None:
    old = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).bfloat16()
    grown = over(old, rows_of_parts({6: (0, 1), 7: (5,), 8: (2, 2, 3)}, 6, 10))
    assert grown.dtype == old.dtype
    assert torch.equal(grown[:6], old)
    rows = old.float()
    assert torch.equal(grown[6], ((rows[0] + rows[1]) / 2).bfloat16())
    assert torch.equal(grown[7], old[5])
    assert torch.equal(grown[8], ((2 * rows[2] + rows[3]) / 3).bfloat16())
    assert torch.equal(grown[9], rows.mean(dim=0).bfloat16())
    bias = over(torch.arange(6.0), rows_of_parts({6: (0, 1)}, 6, 8))
    assert bias.tolist() == [0, 1, 2, 3, 4, 5, 0.5, 2.5]


@pytest.mark.parametrize(("parts", "size"), [({6: (7,)}, 8), ({6: ()}, 8), ({5: (1,)}, 8), ({9: (1,)}, 8), ({}, 4)])
def test_parts_of_another_tokenizer_are_refused(parts: dict[int, tuple[int, ...]], size: int) -> None:
    with pytest.raises(ValueError, match="a model of 6 ids cannot take the pieces"):
        rows_of_parts(parts, 6, size)
