from pathlib import Path

import numpy as np
import pytest

from packing.shards import Shards
from packing.stage import index, pack_documents, row_groups
from pipeline.documents import Document, DocumentWriter, record
from pipeline.tally import Tally
from pipeline.units import Unit, group
from tests.toy_training import tokenizer_at

HOLDOUT = 0.2


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return tokenizer_at(tmp_path / "tokenizer.json")


def documents(folder: Path, texts: list[list[str]]) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{number:05}.parquet" for number in range(len(texts))]
    for number, (path, some) in enumerate(zip(paths, texts, strict=True)):
        with DocumentWriter(path) as writer:
            for at, text in enumerate(some):
                writer.write_row(record(Document(at=str(at), text=text), "s", "text", f"{number}.jsonl"))
    return paths


def packed(unit: Unit, out: Path, tokenizer: Path, *, training: bool = True, context: int = 128) -> Tally:
    tally = Tally()
    pack_documents(
        unit,
        out,
        tally,
        tokenizer=tokenizer,
        context=context,
        shortest=16,
        seed=1,
        source="s",
        holdout=HOLDOUT,
        training=training,
    )
    tally.check("unit")
    return tally


def test_training_and_held_out_rows_share_the_documents_without_overlap(tmp_path: Path, tokenizer: Path) -> None:
    paths = documents(tmp_path / "d", [[f"text number {n} " * (n % 40 + 1) for n in range(200)] for _ in range(2)])
    (unit,) = group(row_groups(paths), 10**9)
    seen: list[set[int]] = []
    for training in (True, False):
        folder = tmp_path / f"rows{training}"
        folder.mkdir()
        tally = packed(unit, folder / "00000.mds", tokenizer, training=training)
        index(folder, [tally.info])
        shards = Shards(folder)
        seen.append({int(doc) for row in shards for doc in row.doc})
        assert len(seen[-1]) == tally.documents_out
        assert tally.more["tokens"] == shards.tokens == tally.more["text_tokens"] + 2 * tally.more["pieces"]
    train, held = seen
    assert not train & held
    assert train | held == {file << 32 | row for file in range(2) for row in range(200)}
    assert 0.1 < len(held) / 400 < 0.3


def test_documents_keep_their_numbers_when_a_file_is_cut_into_row_groups(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline import documents as pipeline_documents

    monkeypatch.setattr(pipeline_documents, "GROUP_BYTES", 10_000)
    texts = [f"document {n} " * 50 for n in range(100)]
    (path,) = documents(tmp_path / "d", [texts])
    units = group(row_groups([path]), 20_000)
    assert len(units) > 2
    folder = tmp_path / "rows"
    folder.mkdir()
    tallies = [packed(unit, folder / f"{unit.number:05}.mds", tokenizer) for unit in units]
    index(folder, [tally.info for tally in tallies])
    assert sum(tally.documents_in for tally in tallies) == 100
    shards = Shards(folder)
    for row in list(shards)[:20]:
        for number, start, end in zip(row.doc, row.cu_seqlens[:-1], row.cu_seqlens[1:], strict=True):
            piece = row.input_ids[start + 1 : end - 1]
            from packing.encode import Encoder

            whole = Encoder(tokenizer).encode([texts[int(number)]])[0]
            found = np.lib.stride_tricks.sliding_window_view(whole, len(piece))
            assert (found == piece).all(axis=1).any()


def test_a_document_without_a_token_is_dropped_by_name(tmp_path: Path, tokenizer: Path) -> None:
    (unit,) = group(row_groups(documents(tmp_path / "d", [["some words", "", "more words"]])), 10**9)
    out = tmp_path / "00000.mds"
    tally = packed(unit, out, tokenizer)
    dropped = {reason: count for reason, count in tally.dropped.items() if count}
    assert tally.documents_out + sum(dropped.values()) == 3
    assert dropped.get("no_tokens", 0) + dropped.get("held_out", 0) >= 1


def test_a_unit_without_a_document_has_no_shard(tmp_path: Path, tokenizer: Path) -> None:
    (path,) = documents(tmp_path / "d", [["only one"]])
    (unit,) = group(row_groups([path]), 10**9)
    tallies = {
        training: packed(unit, tmp_path / f"{training}.mds", tokenizer, training=training) for training in (True, False)
    }
    (empty,) = (training for training, tally in tallies.items() if not tally.documents_out)
    assert not (tmp_path / f"{empty}.mds").exists()
    index(tmp_path, [tallies[empty].info])
    assert len(Shards(tmp_path)) == 0
