"""What deduplication refuses, each in one line that says where and what to do."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.dedup.catalogue import Holding, SignedFile, read_signatures
from pipeline.dedup.columns import read_columns, read_told, write_columns
from pipeline.dedup.earlier import check_earlier
from pipeline.dedup.keep import keep_survivors
from pipeline.documents import Document, DocumentWriter, record
from pipeline.settings import Dedup, Near
from pipeline.stage import Record, Stage, StageError, Work, clear
from pipeline.tally import Tally
from pipeline.units import Piece, Unit
from tests.toy_duplicates import counts, deduplicate, go, planted, removed, stages, survivors, write


def unsigned(folder: Path) -> None:
    found = Record.read(folder)
    assert found
    found.finished = False
    found.write(folder)


@pytest.mark.parametrize(
    "stage", ["signatures/web", "catalogue", "copies", "pairs", "candidates", "shingles", "similar", "duplicates"]
)
def test_what_a_stage_made_is_not_used_if_it_is_gone_cut_off_changed_or_not_signed(tmp_path: Path, stage: str) -> None:
    declared = stages(write(tmp_path, planted(60)), Dedup())
    go(tmp_path, declared)
    wanted = survivors(tmp_path)
    after = next(n for n, one in enumerate(declared) if one.name == stage) + 1
    while stage not in [earlier.name for earlier in declared[after].reads]:
        after += 1
    file = next((tmp_path / stage).glob("00000.*"))
    content = file.read_bytes()
    for spoil in (content[: len(content) // 2], bytes([content[0] ^ 1]) + content[1:], b"", None):
        clear(tmp_path / declared[after].name)
        file.unlink() if spoil is None else file.write_bytes(spoil)
        with pytest.raises(StageError, match=rf"{stage}/00000\.\w+: .*--redo {stage}") as told:
            go(tmp_path, [declared[after]])
        assert "\n" not in str(told.value).replace(":\n  ", ": ")
        file.write_bytes(content)
    unsigned(tmp_path / stage)
    with pytest.raises(StageError, match=f"{stage} is not finished"):
        go(tmp_path, [declared[after]])
    go(tmp_path, declared)
    assert survivors(tmp_path) == wanted


def test_one_wrong_bit_in_signatures_is_noticed_even_behind_the_hash(tmp_path: Path) -> None:
    go(tmp_path, stages(write(tmp_path, {"web": {"a": "one text"}}), Dedup())[:1])
    path = tmp_path / "signatures" / "web" / "00000.parquet"
    chunk = pq.read_metadata(path).row_group(0).column(3)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size - 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"signatures/web/00000\.parquet: .*--redo signatures/web"):
        read_signatures(
            Holding(run="", source="web", signatures=path.parent),
            SignedFile(run="", source="web", signatures=path.name, documents=path.name, rows=1),
            ["exact"],
        )


def test_ids_that_are_no_ids_are_refused(tmp_path: Path) -> None:
    for id in ("short", "G" * 32, "é" * 16):
        filtered = write(tmp_path / id[0], {"web": {"a": "b"}})
        path = tmp_path / id[0] / "filter" / "web" / "00000.parquet"
        clear(path.parent)

        def fill(_: object, out: Path, __: object, id: str = id) -> None:
            with DocumentWriter(out) as writer:
                writer.write_row({**record(Document(at="a", text="b"), "web", "text", "file"), "id": id})

        object.__setattr__(filtered["web"], "work", lambda _, fill=fill: fill)
        with pytest.raises(StageError, match=r"00000\.parquet: holds an id that is not 32 hex digits"):
            go(tmp_path / id[0], [filtered["web"], *stages(filtered, Dedup())])


def test_decisions_about_other_documents_remove_nothing(tmp_path: Path) -> None:
    text = " ".join(f"word{n}" for n in range(200))
    declared = stages(write(tmp_path, {"web": {"a": text}, "xml": {"b": text + " end"}}), Dedup())
    go(tmp_path, declared[:-2])
    path = tmp_path / "catalogue" / "00000.arrow"
    told, columns = read_told(path), {name: values.copy() for name, values in read_columns(path).items()}
    columns["low"] ^= 1
    (tmp_path / "other").mkdir()
    write_columns(tmp_path / "other" / "00000.arrow", columns, told)
    file = tmp_path / "filter" / "xml" / "00000.parquet"
    how: dict[str, Any] = {"source": "xml", "duplicates": tmp_path / "duplicates", "threshold": 0.8}
    unit = Unit(0, (Piece(str(file), file.name, 1),))
    with pytest.raises(StageError, match=r"row 0 is .* another document than when .*--redo signatures"):
        keep_survivors(unit, tmp_path / "out", Tally(), catalogue=tmp_path / "other", **how)
    moved = file.rename(file.with_name("00007.parquet"))
    with pytest.raises(StageError, match=r"00007\.parquet: was not there when documents were numbered"):
        keep_survivors(
            Unit(0, (Piece(str(moved), moved.name, 1),)), tmp_path / "out", Tally(),
            catalogue=tmp_path / "catalogue", **how,
        )  # fmt: skip


def test_a_preferred_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    declared = stages(write(tmp_path, planted(5)), Dedup(prefer=("books",)))
    with pytest.raises(StageError, match=r"dedup.prefer names books; the sources are code, science, web"):
        go(tmp_path, declared)


def test_another_threshold_keeps_the_signatures_and_their_pairs(tmp_path: Path) -> None:
    filtered = write(tmp_path, planted(60))
    go(tmp_path, stages(filtered, Dedup()))
    few = len(removed(tmp_path))
    declared = stages(filtered, Dedup(near=Near(threshold=0.3)))
    go(tmp_path, declared[:8])
    with pytest.raises(StageError, match=r"similar was made with other settings \(threshold: 0.8 -> 0.3\)"):
        go(tmp_path, declared)
    for name in ("similar", "duplicates", "dedup"):
        clear(tmp_path / name)
    go(tmp_path, declared)
    assert len(removed(tmp_path)) > few


class TestEarlierRuns:
    """Documents of an earlier run stay; what duplicates them goes."""

    def test_only_what_is_new_is_kept_and_nothing_of_the_earlier_run_is_touched(self, tmp_path: Path) -> None:
        corpus = planted(300)
        first = {s: dict(list(texts.items())[::2]) for s, texts in corpus.items()}
        second = {s: {f"new {name}": text for name, text in corpus[s].items()} for s in corpus}
        earlier, later = tmp_path / "earlier", tmp_path / "later"
        near = Near(bands=40, rows=4)
        old = deduplicate(earlier, first, Dedup(near=near), files=2)
        before = {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()}
        new = deduplicate(later, second, Dedup(near=near, against=(str(earlier),)), files=3)
        assert {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()} == before
        assert not {name.removeprefix("new ") for name in new} & {name for texts in first.values() for name in texts}
        rows = removed(later)
        assert len(rows) + len(new) == sum(map(len, second.values())) == counts(later, "duplicates")["documents_in"]
        kept = {id for p in earlier.glob("dedup/*/0*.parquet") for id in pq.read_table(p)["id"].to_pylist()}
        assert {row["kept"] for row in rows if row["kept_run"]} <= kept
        assert len({row["kept"] for row in rows if row["kept_run"]}) > len(old) // 2
        again = deduplicate(tmp_path / "again", second, Dedup(near=near, against=(str(earlier),)), seed=4)
        assert again == new

    def test_a_document_that_the_earlier_run_removed_removes_nothing(self, tmp_path: Path) -> None:
        words = [f"word{n}" for n in range(100)]
        a, b, c = " ".join(words[8:]), " ".join(words), " ".join(words[:92])
        settings = Dedup(near=Near(bands=60, rows=3, threshold=0.9), prefer=("first",))
        old = deduplicate(tmp_path / "earlier", {"first": {"a": a}, "second": {"b": b}}, settings)
        assert old == {"a"}
        new = deduplicate(
            tmp_path / "later", {"web": {"c": c, "d": a}},
            Dedup(near=settings.near, against=(str(tmp_path / "earlier"),)),
        )  # fmt: skip
        assert new == {"c"}

    def test_a_run_that_is_not_whole_or_was_signed_otherwise_is_refused(self, tmp_path: Path) -> None:
        corpus, earlier = planted(40), tmp_path / "earlier"
        deduplicate(earlier, corpus, Dedup())
        asked = Dedup(against=(str(earlier),))
        with pytest.raises(StageError, match=r"against: .*nowhere: holds no signatures; name the folder of a run"):
            deduplicate(tmp_path / "a", corpus, Dedup(against=(str(tmp_path / "nowhere"),)))
        with pytest.raises(StageError, match=r"code was made with other settings \(near.bands: 20 -> 3\); take those"):
            deduplicate(tmp_path / "b", corpus, Dedup(near=Near(bands=3), against=asked.against))
        text = next((earlier / "filter" / "web").glob("0*.parquet"))
        shutil.copy(text, tmp_path / "text")
        text.write_bytes(text.read_bytes()[:-9])
        with pytest.raises(StageError, match=r"filter/web/00000\.parquet: has gone or is not what was signed"):
            deduplicate(tmp_path / "c", corpus, asked)
        shutil.copy(tmp_path / "text", text)
        unsigned(earlier / "dedup" / "web")
        with pytest.raises(StageError, match=r"against: .*dedup/web is not finished"):
            deduplicate(tmp_path / "d", corpus, asked)

    def test_signatures_that_are_missing_foreign_or_cut_off_are_told_before_any_work(self, tmp_path: Path) -> None:
        earlier, other = tmp_path / "earlier", tmp_path / "other"
        deduplicate(earlier, {"web": planted(40)["web"], "code": planted(41)["web"]}, Dedup())
        deduplicate(other, {"web": planted(42)["web"]}, Dedup())  # as if of other files: a toy's print knows none
        asked, signed = Dedup(against=(str(earlier),)), earlier / "signatures" / "web"
        check_earlier(asked)
        with pytest.raises(StageError, match=r"made with other settings \(near.rows: 6 -> 8\)"):
            check_earlier(Dedup(near=Near(rows=8), against=asked.against))
        last = signed / "00000.parquet"
        whole = last.read_bytes()
        last.write_bytes(whole[:-1])
        with pytest.raises(StageError, match=r"against: .*signatures/web/00000\.parquet: has gone or is not what"):
            check_earlier(asked)
        last.write_bytes(whole)
        shutil.rmtree(signed)
        with pytest.raises(StageError, match=r"against: .*earlier: signatures/web is not finished"):
            check_earlier(asked)
        shutil.copytree(other / "signatures" / "web", signed)
        record = Record.read(signed)
        assert record
        replace(record, reads={"filter/web": "of other files"}).write(signed)
        with pytest.raises(StageError, match=r"against: .*earlier: signatures/web was not made of its filter/web"):
            check_earlier(asked)
        with pytest.raises(StageError, match=r"against: s3://bucket/run: is in a store"):
            check_earlier(Dedup(against=("s3://bucket/run",)))


def killed_in(work: Path, declared: list[Stage], name: str) -> None:
    """Run in a process of its own that is killed as the first unit of a stage has written its draft."""
    (stage,) = (one for one in declared if one.name == name)

    def deadly(workspace: Path) -> Work:
        done = stage.work(workspace)

        def die(unit: Unit, out: Path, tally: Tally) -> None:
            done(unit, out, tally)
            os.kill(os.getpid(), signal.SIGKILL)

        return die

    child = os.fork()
    if not child:
        go(work, [replace(one, work=deadly) if one is stage else one for one in declared])
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def test_killed_in_any_of_its_stages_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    corpus = planted(60)
    deduplicate(tmp_path / "whole", corpus, Dedup(), files=2)
    declared = stages(write(tmp_path / "cut", corpus, files=2), Dedup())
    for name in [stage.name for stage in declared if stage.name.partition("/")[2] in ("", "web")]:
        killed_in(tmp_path / "cut", declared, name)
    go(tmp_path / "cut", declared)
    for path in (tmp_path / "whole").rglob("0*.*"):
        if path.suffix in (".parquet", ".arrow"):
            assert path.read_bytes() == (tmp_path / "cut" / path.relative_to(tmp_path / "whole")).read_bytes()
    assert not list((tmp_path / "cut").rglob("*.draft"))
