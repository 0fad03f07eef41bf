from pathlib import Path

import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from pipeline.documents import SCHEMA, Document, DocumentWriter, record
from pipeline.tally import Tally
from pipeline.tokenizer import (
    PERSONAL,
    SPACES,
    SPECIAL,
    TokenizerError,
    check_tokenizer,
    drawn,
    publish,
    spare,
    take_tokenizer,
    train_tokenizer,
)
from pipeline.units import Piece, Unit

WORDS = "the quick brown fox jumps over a lazy dog while def return import self print naïve Größe 東京".split()  # noqa: SIM905


def corpus(folder: Path, files: int = 3) -> Unit:
    pieces = []
    for number in range(files):
        path = folder / f"{number:05}.parquet"
        with DocumentWriter(path) as writer:
            for n in range(200):
                text = " ".join(WORDS[(n * 7 + k * (number + 3)) % len(WORDS)] for k in range(30 + n % 50))
                text += "\n    indented = True\n        deeper\n" if n % 3 == 0 else ""
                source = "code" if n % 3 == 0 else "web"
                writer.write_row(record(Document(at=str(n), text=text), source, "text", f"{number}.jsonl"))
        pieces.append(Piece(path=str(path), name=path.name, size=path.stat().st_size))
    return Unit(0, tuple(pieces))


SIZES = {"web": 100_000, "code": 50_000}


def trained(unit: Unit, out: Path, vocab: int = 512, sample: int = 10**9) -> tuple[Tokenizer, Tally]:
    tally = Tally()
    shares = {"web": 0.5, "code": 0.5}
    train_tokenizer(unit, out, tally, shares=shares, sizes=SIZES, vocab=vocab, sample=sample, holdout=0.1)
    return Tokenizer.from_file(str(out)), tally


def test_the_layout_is_bytes_merges_spaces_placeholders_specials_and_unused(tmp_path: Path) -> None:
    tokenizer, _ = trained(corpus(tmp_path), tmp_path / "t.json")
    by_id = [tokenizer.id_to_token(n) for n in range(tokenizer.get_vocab_size())]
    assert len(by_id) == 512
    first = by_id.index(SPACES[0])
    assert by_id[first : first + len(SPACES)] == list(SPACES)
    after = first + len(SPACES)
    assert by_id[after : after + 8] == [*PERSONAL, *SPECIAL]
    unused = by_id[after + 8 :]
    assert unused == [f"[unused{n}]" for n in range(len(unused))]
    assert len(unused) >= spare(512)


def test_every_text_comes_back_from_its_tokens(tmp_path: Path) -> None:
    tokenizer, _ = trained(corpus(tmp_path), tmp_path / "t.json")
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
    tokenizer, _ = trained(corpus(tmp_path), tmp_path / "t.json")
    assert tokenizer.encode("Gr\u00f6\u00dfe").ids == tokenizer.encode("Gro\u0308\u00dfe").ids


def test_indentation_is_one_token(tmp_path: Path) -> None:
    tokenizer, _ = trained(corpus(tmp_path), tmp_path / "t.json")
    assert tokenizer.encode("        deeper", add_special_tokens=False).tokens[0] == " " * 8


def test_a_sequence_is_wrapped_in_cls_and_sep_without_types(tmp_path: Path) -> None:
    tokenizer, _ = trained(corpus(tmp_path), tmp_path / "t.json")
    pair = tokenizer.encode("the", "fox")
    assert [pair.tokens[0], pair.tokens[2 - 1 + len(tokenizer.encode("the").tokens) - 2], pair.tokens[-1]] == [
        "[CLS]",
        "[SEP]",
        "[SEP]",
    ]
    assert set(pair.type_ids) == {0}


def test_the_same_documents_in_other_files_give_the_same_tokenizer(tmp_path: Path) -> None:
    unit = corpus(tmp_path)
    _first, _ = trained(unit, tmp_path / "a.json")
    turned = Unit(0, tuple(reversed(unit.pieces)))
    trained(turned, tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_sample_has_the_shares_that_were_asked_for_and_no_held_out_document(tmp_path: Path) -> None:
    rows = [record(Document(at=str(n), text="x"), "web" if n % 4 else "code", "text", "f.jsonl") for n in range(20_000)]
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    chosen = drawn(batch, {"web": 0.2, "code": 0.6}, holdout=0.0)
    sources = pa.array(chosen), batch.column("source")
    web = batch.filter(pa.compute.and_(sources[0], pa.compute.equal(sources[1], "web"))).num_rows
    code = int(chosen.sum()) - web
    assert abs(web / 15_000 - 0.2) < 0.02
    assert abs(code / 5_000 - 0.6) < 0.04
    held = ~drawn(batch, {"web": 1.0, "code": 1.0}, holdout=0.3)
    assert abs(held.mean() - 0.3) < 0.02
    assert not drawn(batch, {"web": 1.0, "code": 1.0}, holdout=0.3)[held].any()


def test_every_document_is_counted_as_sampled_or_not(tmp_path: Path) -> None:
    _, tally = trained(corpus(tmp_path), tmp_path / "t.json", sample=30_000)
    tally.check("sample")
    assert tally.documents_in == 600
    assert 0 < tally.documents_out < 600
    assert tally.dropped["not_sampled"] == 600 - tally.documents_out


def test_an_existing_tokenizer_is_taken_over_as_it_is(tmp_path: Path) -> None:
    unit = corpus(tmp_path)
    trained(unit, tmp_path / "t.json")
    piece = Piece(path=str(tmp_path / "t.json"), name="t.json", size=1)
    take_tokenizer(Unit(0, (piece,)), tmp_path / "00000.json", Tally())
    assert (tmp_path / "00000.json").read_bytes() == (tmp_path / "t.json").read_bytes()
    publish(tmp_path, [])
    assert (tmp_path / "tokenizer.json").read_bytes() == (tmp_path / "t.json").read_bytes()


def test_what_is_no_tokenizer_or_lacks_a_special_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(TokenizerError, match=r"is not a tokenizer\.json"):
        check_tokenizer(tmp_path / "broken.json")
    trained(corpus(tmp_path), tmp_path / "t.json")
    text = (tmp_path / "t.json").read_text().replace("[MASK]", "[HIDE]")
    (tmp_path / "lacking.json").write_text(text)
    with pytest.raises(TokenizerError, match=r"has no \[MASK\]"):
        check_tokenizer(tmp_path / "lacking.json")
