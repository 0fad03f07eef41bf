"""A sample of documents -> the counts of its words -> a tokenizer in ModernBERT's layout."""

from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from pipeline.documents import Document, DocumentWriter, record
from pipeline.tally import Tally
from pipeline.tokenizer import (
    LITERALS,
    PERSONAL,
    SPACES,
    SPECIAL,
    TokenizerError,
    check_tokenizer,
    publish,
    spare,
    take_tokenizer,
    train_tokenizer,
)
from pipeline.units import Piece, Unit
from pipeline.word_counts import count_words, drawn, gathered

WORDS = "the quick brown fox jumps over a lazy dog while def return import self print naïve Größe 東京".split()  # noqa: SIM905


def corpus(folder: Path, files: int = 3, documents: int = 200) -> list[Piece]:
    pieces = []
    for number in range(files):
        path = folder / f"{number:05}.parquet"
        with DocumentWriter(path) as writer:
            for n in range(documents):
                text = " ".join(WORDS[(n * 7 + k * (number + 3)) % len(WORDS)] for k in range(30 + n % 50))
                text += "\n    indented = True\n        deeper\n" if n % 3 == 0 else ""
                writer.write_row(record(Document(at=str(n), text=text), "web", "text", f"{number}.jsonl"))
        pieces.append(Piece(path=str(path), name=path.name, size=path.stat().st_size))
    return pieces


def counted(units: list[list[Piece]], folder: Path, rate: float = 1.0) -> tuple[Unit, list[Tally]]:
    folder.mkdir(exist_ok=True)
    tallies, pieces = [], []
    for number, unit in enumerate(units):
        out, tally = folder / f"{number:05}.arrow", Tally()
        count_words(Unit(number, tuple(unit)), out, tally, rate=rate, holdout=0.1, literals=LITERALS, nfc=True)
        tallies.append(tally)
        pieces.append(Piece(path=str(out), name=out.name, size=out.stat().st_size))
    return Unit(0, tuple(pieces)), tallies


def trained(folder: Path, vocab: int = 512) -> Tokenizer:
    unit, _ = counted([corpus(folder)], folder / "words")
    train_tokenizer(unit, folder / "t.json", Tally(), vocab=vocab)
    return Tokenizer.from_file(str(folder / "t.json"))


def test_the_layout_is_bytes_merges_spaces_placeholders_specials_and_unused(tmp_path: Path) -> None:
    tokenizer = trained(tmp_path)
    by_id = [tokenizer.id_to_token(n) for n in range(tokenizer.get_vocab_size())]
    assert len(by_id) == 512
    first = by_id.index(SPACES[0])
    assert by_id[first : first + len(SPACES)] == list(SPACES)
    after = first + len(SPACES)
    assert by_id[after : after + 8] == [*PERSONAL, *SPECIAL]
    unused = by_id[after + 8 :]
    assert unused == [f"[unused{n}]" for n in range(len(unused))]
    assert len(unused) >= spare(512)


def test_no_space_is_put_before_a_text_and_mask_takes_the_one_before_it(tmp_path: Path) -> None:
    tokenizer = trained(tmp_path)
    assert tokenizer.pre_tokenizer.add_prefix_space is False
    assert {token.content: token.lstrip for token in tokenizer.get_added_tokens_decoder().values() if token.lstrip} == {
        "[MASK]": True
    }
    ids = tokenizer.encode("the [MASK]", add_special_tokens=False).ids
    assert [tokenizer.id_to_token(number) for number in ids] == ["the", "[MASK]"]


def test_no_merge_is_spent_on_what_has_an_id_of_its_own(tmp_path: Path) -> None:
    tokens = trained(tmp_path).get_vocab(with_added_tokens=False)
    assert not [token for token in tokens if "ĠĠ" in token]


def test_every_text_comes_back_from_its_tokens(tmp_path: Path) -> None:
    tokenizer = trained(tmp_path)
    for text in (
        "",
        "a",
        " leading",
        "tab\tnewline\r\n",
        "    four",
        "東京 🙂 é",
        "\x00\x7f",
        "x" * 3_000,
        " " * 77 + "x",
    ):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_composed_and_decomposed_letters_are_the_same_tokens(tmp_path: Path) -> None:
    tokenizer = trained(tmp_path)
    assert tokenizer.encode("Gr\u00f6\u00dfe").ids == tokenizer.encode("Gro\u0308\u00dfe").ids


def test_indentation_is_one_token(tmp_path: Path) -> None:
    tokenizer = trained(tmp_path)
    assert tokenizer.encode("        deeper", add_special_tokens=False).tokens[0] == " " * 8


def test_a_sequence_is_wrapped_in_cls_and_sep_without_types(tmp_path: Path) -> None:
    tokenizer = trained(tmp_path)
    pair = tokenizer.encode("the", "fox")
    middle = len(tokenizer.encode("the").tokens) - 1
    assert [pair.tokens[0], pair.tokens[middle], pair.tokens[-1]] == ["[CLS]", "[SEP]", "[SEP]"]
    assert set(pair.type_ids) == {0}


def test_the_same_documents_in_other_units_and_files_give_the_same_tokenizer(tmp_path: Path) -> None:
    pieces = corpus(tmp_path)
    cuts = {"one": [pieces], "three": [[piece] for piece in pieces], "turned": [pieces[2:], pieces[1::-1]]}
    made = {}
    for name, units in cuts.items():
        unit, _ = counted(units, tmp_path / name)
        train_tokenizer(unit, tmp_path / f"{name}.json", Tally(), vocab=640)
        made[name] = (tmp_path / f"{name}.json").read_bytes()
    assert made["one"] == made["three"] == made["turned"]


def test_documents_are_drawn_at_their_rate_and_held_out_ones_never() -> None:
    ids = pa.array([record(Document(at=str(n), text="x"), "web", "text", "f.jsonl")["id"] for n in range(20_000)])
    assert abs(drawn(ids, 0.2, 0.0).mean() - 0.2) < 0.02
    held = ~drawn(ids, 1.0, 0.3)
    assert abs(held.mean() - 0.3) < 0.02
    assert not (drawn(ids, 0.5, 0.3) & held).any()
    assert not drawn(ids, 0.0, 0.0).any()


def test_a_smaller_sample_is_part_of_a_larger_one() -> None:
    ids = pa.array([record(Document(at=str(n), text="x"), "web", "text", "f.jsonl")["id"] for n in range(2_000)])
    assert (drawn(ids, 0.1, 0.1) <= drawn(ids, 0.4, 0.1)).all()


def test_every_document_is_counted_as_sampled_or_not(tmp_path: Path) -> None:
    _, (tally,) = counted([corpus(tmp_path)], tmp_path / "words", rate=0.3)
    tally.check("sample")
    assert tally.documents_in == 600
    assert 0 < tally.documents_out < 600
    assert tally.dropped["not_sampled"] == 600 - tally.documents_out


def test_words_beyond_the_bound_are_left_out_rarest_first_and_counted(tmp_path: Path) -> None:
    unit, _ = counted([corpus(tmp_path)], tmp_path / "words")
    files = [Path(piece.path) for piece in unit.pieces]
    whole, all_told = gathered(files, Tally()), Tally()
    gathered(files, all_told)
    assert all_told.more["words_left_out"] == all_told.more["occurrences_left_out"] == 0
    every = dict(zip(whole["word"].to_pylist(), whole["count"].to_pylist(), strict=True))
    told = Tally()
    few = gathered(files, told, most=100)
    kept = dict(zip(few["word"].to_pylist(), few["count"].to_pylist(), strict=True))
    left = {word: count for word, count in every.items() if word not in kept}
    assert kept.items() <= every.items()
    assert 0 < sum(len(word) + 1 for word in kept) <= 100
    assert min(kept.values()) > max(left.values())
    assert told.more["words_left_out"] == len(left)
    assert told.more["occurrences_left_out"] == sum(left.values())


def test_without_any_text_training_is_refused(tmp_path: Path) -> None:
    unit, _ = counted([corpus(tmp_path)], tmp_path / "words", rate=0.0)
    with pytest.raises(TokenizerError, match=r"no text to train a tokenizer on; raise tokenizer\.sample"):
        train_tokenizer(unit, tmp_path / "t.json", Tally(), vocab=512)


def test_an_existing_tokenizer_is_taken_over_as_it_is(tmp_path: Path) -> None:
    trained(tmp_path)
    piece = Piece(path=str(tmp_path / "t.json"), name="t.json", size=1)
    take_tokenizer(Unit(0, (piece,)), tmp_path / "00000.json", Tally())
    assert (tmp_path / "00000.json").read_bytes() == (tmp_path / "t.json").read_bytes()
    publish(tmp_path, [])
    assert (tmp_path / "tokenizer.json").read_bytes() == (tmp_path / "t.json").read_bytes()
    assert not (tmp_path / "parts.json").exists()


def test_what_is_no_tokenizer_or_lacks_a_special_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(TokenizerError, match=r"is not a tokenizer\.json"):
        check_tokenizer(tmp_path / "broken.json")
    trained(tmp_path)
    text = (tmp_path / "t.json").read_text().replace("[MASK]", "[HIDE]")
    (tmp_path / "lacking.json").write_text(text)
    with pytest.raises(TokenizerError, match=r"has no \[MASK\]"):
        check_tokenizer(tmp_path / "lacking.json")
