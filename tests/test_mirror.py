"""A run's folder in a store: what stands there, what another machine makes of it, and what may be wrong with it.

The store is fsspec's in memory; test_stores.py asks a real server the same.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest

from commands.faults import told_of
from commands.kept import bring_checkpoint, keep_checkpoint
from commands.look import LookError, look
from commands.run import only_one
from commands.verify import VerifyError, verify
from pipeline.engines.run import Engine, run
from pipeline.handover import Reach, same_units, units_of
from pipeline.stage import Record, Stage, StageError, Work, clear
from pipeline.stores import lease
from pipeline.stores.mirror import MARK, Mirror, opened
from pipeline.stores.store import Store, StoreError
from pipeline.tally import Tally
from pipeline.units import Piece, Unit, find, group, stamps
from recipes.load import load
from recipes.plan import stages
from tests import toy_training
from train.loop import train

RUN = "memory://bucket/run"


@pytest.fixture
def store() -> Iterator[Store]:
    yield Store(RUN)
    files = fsspec.filesystem("memory")
    if files.exists("/bucket"):
        files.rm("/bucket", recursive=True)


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Each call is another machine, with nothing on its disk -> the run's folder there."""
    numbers = iter(range(100))

    def machine(address: str = RUN) -> Path:
        monkeypatch.setenv("BERTMILL_MIRRORS", str(tmp_path / "machines" / str(next(numbers))))
        return opened(address)

    return machine


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.txt").write_text("\n".join(str(number * 100 + n) for n in range(10)))
    return folder


def even(unit: Unit, out: Path, tally: Tally, *, broken: str = "") -> None:
    """The even numbers; a file beside of how many there are."""
    from pipeline.documents import Dropped

    for piece in unit.pieces:
        if piece.name == broken:
            raise RuntimeError("broken on purpose")
        lines = Path(piece.path).read_text().split()
        tally.read(len(lines), 0)
        kept = [line for line in lines if int(line) % 2 == 0]
        for line in lines:
            if line not in kept:
                tally.drop(Dropped(at=line, reason="odd", value=line), line)
        tally.kept(len(kept), 0)
        out.write_text("\n".join(kept))
        beside = out.parent / "counts"
        beside.mkdir(exist_ok=True)
        (beside / f"{unit.number:05}.txt").write_text(str(len(kept)))


def summed(folder: Path, infos: list[dict[str, Any]]) -> None:
    """What spans the units: the sum of the files beside them, and of all their numbers."""
    count = sum(int(path.read_text()) for path in folder.glob("counts/*.txt"))
    numbers = sum(int(line) for path in folder.glob("[0-9]*.txt") for line in path.read_text().split())
    (folder / "sum.txt").write_text(f"{count} {numbers}")


def evens(raw: Path, broken: str = "") -> Stage:
    return Stage(
        name="even/numbers",
        work=lambda _: partial(even, broken=broken),
        units=lambda _: group(find([f"{raw}/*.txt"]), 1),
        inputs=lambda: stamps(find([f"{raw}/*.txt"])),
        suffix=".txt",
        finish=summed,
    )


def shift(unit: Unit, out: Path, tally: Tally, *, by: Path) -> None:
    lines = [line for piece in unit.pieces for line in Path(piece.path).read_text().split()]
    tally.read(len(lines), 0)
    tally.kept(len(lines), 0)
    offset = int(by.read_text().split()[0])
    out.write_text("\n".join(str(int(line) + offset) for line in lines))


def shifted(before: Stage) -> Stage:
    """Every number and the first of a file beside: a stage that reads pieces and a file that spans them."""

    def work(workspace: Path) -> Work:
        return partial(shift, by=workspace / before.name / "sum.txt")

    return Stage(name="shifted", work=work, units=same_units(before), reads=(before,), suffix=".txt")


def outputs(folder: Path) -> Mapping[str, bytes]:
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    told = {name: path.read_bytes() for name, path in names.items() if not name.startswith((".", "log"))}
    return {name: content for name, content in told.items() if "/log/" not in name and not name.endswith("stage.json")}


def in_store(store: Store) -> Mapping[str, bytes]:
    contents = store.read(store.sizes("", deep=True))
    return {name: content for name, content in contents.items() if not name.endswith("stage.json")}


def on_disk(tmp_path: Path, *stages: Stage) -> Mapping[str, bytes]:
    for stage in stages:
        run(stage, tmp_path / "disk", Engine())
    return outputs(tmp_path / "disk")


def test_a_store_has_in_the_end_what_a_folder_would_have(
    tmp_path: Path, numbers: Path, store: Store, machines: Any
) -> None:
    work = machines()
    one, two = evens(numbers), shifted(evens(numbers))
    local = on_disk(tmp_path, one, two)
    assert run(one, work, Engine())[1]
    assert run(two, work, Engine())[1]
    assert in_store(store) == outputs(work) == local
    assert len(local) == 5 * 4 + 2 + 5 * 2
    assert Record.read(work / "even/numbers") == Record.read(machines() / "even/numbers")


def test_another_machine_knows_what_is_finished_and_copies_none_of_it(
    numbers: Path, store: Store, machines: Any
) -> None:
    run(evens(numbers), machines(), Engine())
    before, work = in_store(store), machines()
    record, worked = run(evens(numbers), work, Engine())
    assert (worked, record.units, record.finished) == (False, 5, True)
    assert [path.name for path in sorted((work / "even/numbers").iterdir())] == ["inputs.json", "stage.json"]
    assert in_store(store) == before


def test_another_machine_does_what_the_first_left(tmp_path: Path, numbers: Path, store: Store, machines: Any) -> None:
    """It has none of the units' files, but what spans all units is made of them."""
    with pytest.raises(StageError, match=r"1 of 5 units failed; the others stand[\s\S]*3.txt.*broken on purpose"):
        run(evens(numbers, broken="3.txt"), machines(), Engine())
    assert "even/numbers/failed/00003.json" in store.sizes("", deep=True)
    work = machines()
    assert len(store.sizes("even/numbers/units")) == 4
    _, worked = run(evens(numbers, broken="2.txt"), work, Engine())  # which stands already
    assert worked
    assert in_store(store) == on_disk(tmp_path, evens(numbers))


def test_each_stage_may_run_on_a_machine_of_its_own(tmp_path: Path, numbers: Path, store: Store, machines: Any) -> None:
    one, two = evens(numbers), shifted(evens(numbers))
    run(one, machines(), Engine())
    run(two, machines(), Engine())
    assert in_store(store) == on_disk(tmp_path, one, two)


@pytest.mark.parametrize("stale", ["", "7\n9", "800\n802\n804\n806\n809"])
def test_a_stale_file_of_a_mirror_is_noticed_and_never_used(
    tmp_path: Path, numbers: Path, store: Store, machines: Any, stale: str
) -> None:
    one, two = evens(numbers), shifted(evens(numbers))
    work = machines()
    run(one, work, Engine())
    for name in ("00002.txt", "sum.txt"):
        (work / "even/numbers" / name).write_text(stale)
    assert opened(RUN) == work
    run(two, work, Engine())
    assert in_store(store) == on_disk(tmp_path, one, two)


def test_records_of_a_mirror_that_its_store_has_not_are_dropped(numbers: Path, store: Store, machines: Any) -> None:
    work = machines()
    run(evens(numbers), work, Engine())
    store.remove_folder("even")
    opened(RUN)
    assert Record.read(work / "even/numbers") is None
    assert run(evens(numbers), work, Engine())[1]
    assert len(store.sizes("even/numbers/units")) == 5


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("00001.txt", b"100", r"units/00001.json: is not what even/numbers signed; start it over with --redo even/num"),
        ("00001.txt", b"100\n102\n104\n106\n109", rf"{RUN}/even/numbers/00001.txt: is not what was signed; start it o"),
        ("sum.txt", b"", rf"{RUN}/even/numbers/sum.txt: is not what was signed; start it over with --redo even/number"),
    ],
)
def test_a_cut_off_or_foreign_object_is_refused(
    numbers: Path, store: Store, machines: Any, name: str, content: bytes, told: str
) -> None:
    run(evens(numbers), machines(), Engine())
    store.write(f"even/numbers/{name}", content)
    with pytest.raises((StageError, StoreError), match=told):
        run(shifted(evens(numbers)), machines(), Engine())


def test_an_object_that_has_gone_is_named(numbers: Path, store: Store, machines: Any) -> None:
    run(evens(numbers), machines(), Engine())
    store.remove("even/numbers/sum.txt")
    with pytest.raises(StoreError, match=rf"{RUN}/even/numbers/sum.txt: has gone; start it over with --redo"):
        run(shifted(evens(numbers)), machines(), Engine())


def test_a_unit_whose_object_is_cut_off_is_done_again_while_its_stage_is_unsigned(
    tmp_path: Path, numbers: Path, store: Store, machines: Any
) -> None:
    with pytest.raises(StageError):
        run(evens(numbers, broken="3.txt"), machines(), Engine())
    store.write("even/numbers/00001.txt", b"1")
    run(evens(numbers), machines(), Engine())
    assert in_store(store) == on_disk(tmp_path, evens(numbers))


def test_what_was_made_with_other_settings_is_refused_on_every_machine(
    numbers: Path, store: Store, machines: Any
) -> None:
    run(evens(numbers), machines(), Engine())
    (numbers / "9.txt").write_text("4")
    work = machines()
    with pytest.raises(StageError, match=r"input files new: 9.txt.*--redo even/numbers"):
        run(evens(numbers), work, Engine())
    clear(work / "even/numbers")
    assert store.sizes("", deep=True) == {}
    assert run(evens(numbers), work, Engine())[0].units == 6


def looked_into(stage: Stage) -> Stage:
    """A stage that is told by files what its units are: by one that is no piece of it, and by the parts of others."""

    def units(workspace: Path) -> list[Unit]:
        limit = int((workspace / stage.name / "sum.txt").read_text().split()[0])
        from pipeline.handover import signed_pieces

        pieces = [p for p in signed_pieces(workspace, stage) if int(Path(p.path).read_text().split()[0]) < 20 * limit]
        return [Unit(n, (Piece(p.path, p.name, p.size, groups=(0, 1), signed=p.signed),)) for n, p in enumerate(pieces)]

    return Stage(
        name="some", work=lambda _: partial(even), units=units, reads=(stage,), suffix=".txt"
    )  # fmt: skip


@pytest.mark.parametrize("stale", [None, "1", "999"])
def test_units_are_told_by_what_the_store_has(
    tmp_path: Path, numbers: Path, store: Store, machines: Any, stale: str | None
) -> None:
    one = evens(numbers)
    run(one, machines(), Engine())
    work = machines()
    if stale:
        for name in ("sum.txt", "00000.txt", "00001.txt"):
            (work / "even/numbers").mkdir(parents=True, exist_ok=True)
            (work / "even/numbers" / name).write_text(stale)
    assert len(units_of(looked_into(one), work)) == 5
    run(looked_into(one), work, Engine())
    assert in_store(store) == on_disk(tmp_path, one, looked_into(one))


def test_a_process_on_another_node_sets_up_a_mirror_there_and_brings_what_all_units_read(
    numbers: Path, store: Store, machines: Any
) -> None:
    one, two = evens(numbers), shifted(evens(numbers))
    work = machines()
    run(one, work, Engine())
    units = units_of(two, work)
    reach = Reach.of(work, two, units)
    assert reach
    shutil.rmtree(work)  # the same path on another node
    there = Reach(reach.mirror, reach.beside, f"not {platform.node()}")
    there.arrive()
    assert Mirror.of(work) == reach.mirror
    assert {path.name for path in (work / "even/numbers").iterdir()} == {"sum.txt", "inputs.json"}
    shutil.rmtree(work)
    Reach(reach.mirror, reach.beside, platform.node()).arrive()  # where they are already, and were checked
    assert [path.name for path in work.iterdir()] == [MARK]


def test_the_folder_of_a_run_is_found_from_an_address_in_it(store: Store, machines: Any) -> None:
    store.write("recipe.yaml", b"name: x\n")
    work = machines()
    assert (work / "recipe.yaml").read_bytes() == b"name: x\n"
    assert opened(f"{RUN}/filter/web/") == work / "filter" / "web"
    assert opened("memory://bucket/other").parent == work.parent
    assert opened("here/filter") == Path("here/filter")
    with pytest.raises(StoreError, match="s3://: names no folder; write s3://bucket/run"):
        opened("s3://")


def test_a_folder_that_mirrors_something_else_is_refused(store: Store, machines: Any) -> None:
    work = machines()
    (work / MARK).write_text(json.dumps({"url": "memory://bucket/other"}))
    with pytest.raises(StoreError, match="mirrors memory://bucket/other, not memory://bucket/run; delete it"):
        opened(RUN)


def test_a_file_system_shows_no_file_before_all_of_it_is_there(tmp_path: Path, numbers: Path, machines: Any) -> None:
    address = f"file://{tmp_path}/store/run"
    run(evens(numbers), machines(address), Engine())
    assert outputs(tmp_path / "store/run") == on_disk(tmp_path, evens(numbers))
    (tmp_path / "store/run/even/numbers/units/00009.json.draft").write_text("{")
    (tmp_path / "store/run/even/numbers/00007.txt.draft").write_text("7")
    work = machines(address)
    run(shifted(evens(numbers)), work, Engine())
    assert len(list((work / "shifted").glob("[0-9]*.txt"))) == 5


def test_a_store_that_refuses_to_be_written_fails_the_units_with_a_line(
    tmp_path: Path, numbers: Path, machines: Any
) -> None:
    work, stage = machines(f"file://{tmp_path}/store"), evens(numbers)

    def units(workspace: Path) -> Sequence[Unit]:
        (tmp_path / "store/even/numbers").mkdir(parents=True, exist_ok=True)
        (tmp_path / "store/even/numbers/counts").write_text("in the way of a folder")
        return stage.units(workspace)

    with pytest.raises(
        StageError, match=r"5 of 5 units failed[\s\S]*StoreError: file://.*counts/00000.txt: cannot be written"
    ):
        run(replace(stage, units=units), work, Engine())


def test_a_full_disk_is_told_by_the_file_that_did_not_fit(store: Store, machines: Any) -> None:
    """A limit on the size of files stands in for the disk: the same fault comes from the same call."""
    store.write("big", b"x" * 200_000)
    path = machines() / "big"
    mirror = Mirror.of(path)
    assert mirror
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[0][1]))
    try:
        with pytest.raises(OSError, match="too large") as fault:
            mirror.fetch(path, None, "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
        signal.signal(signal.SIGXFSZ, before[1])
    assert told_of(fault.value) == f"{path}: File too large; make room and run the same command again"
    assert list(path.parent.iterdir()) == [path.parent / MARK]


def test_one_machine_at_a_time_works_on_a_run(store: Store, machines: Any) -> None:
    first = machines()
    with only_one(first):
        note = json.loads(store.read([".lock"])[".lock"])
        assert (note["pid"], note["host"]) == (os.getpid(), platform.node())
        told = rf"{RUN}/.lock: another bertmill works on this run .process {os.getpid()} on {platform.node()}"
        with pytest.raises(StoreError, match=told), only_one(machines()):
            pass
    assert store.sizes("") == {}
    with only_one(machines()):
        pass


@pytest.mark.parametrize(
    ("note", "taken"),
    [
        ({"pid": 2**22 + 1, "seen": "now"}, True),
        ({"pid": 2**22 + 1, "seen": "now", "place": "elsewhere"}, False),
        ({"pid": 1, "seen": "long ago", "place": "elsewhere"}, True),
        ("no note", True),
    ],
)
def test_the_note_of_a_process_that_has_gone_counts_no_more(
    store: Store, machines: Any, note: dict[str, Any] | str, taken: bool
) -> None:
    if isinstance(note, dict):
        seen = time.time() - (0 if note["seen"] == "now" else 2 * lease.LOST)
        note = json.dumps({"place": lease._place(), **note, "seen": seen})
    store.write(".lock", note.encode())
    if taken:
        with only_one(machines()):
            assert json.loads(store.read([".lock"])[".lock"])["pid"] == os.getpid()
        return
    with pytest.raises(StoreError, match="another bertmill"), only_one(machines()):
        pass


def test_a_lease_is_renewed_and_not_given_back_once_another_has_it(
    store: Store, machines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWED", 0.01)
    with only_one(machines()):
        first = json.loads(store.read([".lock"])[".lock"])
        deadline = time.monotonic() + 5
        while json.loads(store.read([".lock"])[".lock"])["seen"] == first["seen"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        store.write(".lock", b'{"token": "of another"}')
    assert store.read([".lock"]) == {".lock": b'{"token": "of another"}'}


def test_verify_reads_the_store_whatever_the_mirror_has(numbers: Path, store: Store, machines: Any) -> None:
    work = machines()
    run(evens(numbers), work, Engine())
    assert [name for name, _ in verify(work)] == ["even/numbers"]
    store.write("even/numbers/00001.txt", b"100\n102\n104\n106\n109")
    with pytest.raises(VerifyError, match=rf"^{RUN}/even/numbers/00001.txt: was changed since it was signed"):
        list(verify(work))
    with pytest.raises(VerifyError, match=f"^{RUN}/no/such: there is no such folder"):
        list(verify(opened(f"{RUN}/no/such")))


def test_look_brings_what_it_shows(numbers: Path, store: Store, machines: Any) -> None:
    run(evens(numbers), machines(), Engine())
    work = machines()
    assert [row["value"] for row in look(work / "even/numbers", 7, dropped=True)] == [
        "1",
        "3",
        "5",
        "7",
        "9",
        "101",
        "103",
    ]
    assert len(list((work / "even/numbers/dropped").iterdir())) == 2
    with pytest.raises(LookError, match=f"^{RUN}/odd: there is no such file or folder"):
        look(work / "odd", 7)


def test_every_stage_of_a_recipe_may_run_on_a_machine_of_its_own(
    whole: Path, recipe_path: Path, store: Store, machines: Any
) -> None:
    for stage in stages(load(recipe_path)):
        run(stage, machines(), Engine())
    theirs, ours = outputs(whole), in_store(store)
    assert len(ours) > 200
    assert ours == {name: theirs[name] for name in ours}
    made = ("checkpoints/", "export/", "metrics.jsonl", "recipe.yaml")
    assert {name for name in theirs if not name.startswith(made)} == ours.keys()


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    toy_training.packed(folder)
    return folder


def trained(rows: Path, work: Path, until: int | None = None, keeps: bool = True) -> dict[str, bytes]:
    """Train in a run's folder as the command does -> the files of the last checkpoint."""
    bring_checkpoint(work)

    def notify(record: Mapping[str, Any]) -> None:
        if keeps and record["kind"] == "saved":
            keep_checkpoint(work, Path(record["checkpoint"]), 5)

    result = train(toy_training.job(work.parent, rows, folder=work), until=until, notify=notify)
    return {path.name: path.read_bytes() for path in result.checkpoint.iterdir()}


def test_a_training_goes_on_on_another_machine_from_what_the_store_has(
    tmp_path: Path, rows: Path, store: Store, machines: Any
) -> None:
    whole = trained(rows, tmp_path / "disk")
    first = machines()
    trained(rows, first, until=7)
    trained(rows, first, until=9, keeps=False)  # as if killed before these were put into the store
    assert (first / "checkpoints/step-00000009").exists()
    bring_checkpoint(opened(RUN))
    assert not (first / "checkpoints/step-00000009").exists()
    second = machines()
    assert trained(rows, second) == whole
    # not from the beginning, or step 5 would be there; step 7 served to go on from, and went when the run had ended
    assert min(path.name for path in (second / "checkpoints").iterdir()) == "step-00000009"
    last = max(store.sizes("checkpoints", deep=True)).split("/")[1]
    assert store.read([f"checkpoints/{last}/{name}" for name in whole]).keys() == {
        f"checkpoints/{last}/{name}" for name in whole
    }
    steps = [json.loads(line) for line in store.read(["metrics.jsonl"])["metrics.jsonl"].splitlines()]
    taken = [step["step"] for step in steps if step["kind"] == "step"]
    assert taken == list(range(1, len(taken) + 1))


def test_a_damaged_checkpoint_of_a_store_is_named(rows: Path, store: Store, machines: Any) -> None:
    trained(rows, machines(), until=3)
    name = "checkpoints/step-00000003/model.safetensors"
    store.write(name, store.read([name])[name][:-1])
    with pytest.raises(
        StoreError, match=f"{RUN}/{name}: is not what was signed; remove this checkpoint from the store"
    ):
        bring_checkpoint(machines())
    store.remove("checkpoints/step-00000003/state.json")  # without it the folder is no checkpoint
    work = machines()
    bring_checkpoint(work)
    assert not (work / "checkpoints").exists()
