"""The whole journey on a small sample of real files, run in different ways to the same end."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from commands.run import prepare, start_over
from commands.verify import VerifyError, verify
from packing.shards import ShardError, Shards
from pipeline.engines import run as engines_run
from pipeline.engines.run import Engine
from pipeline.stage import Record, StageError
from recipes.load import load
from recipes.plan import stages
from tests.conftest import BERTMILL, bertmill
from train.checkpoint import CheckpointError


def outputs(work: Path) -> dict[str, bytes]:
    """All that a run made, but for logs, times and drafts."""
    kept = {".parquet", ".mds", ".json", ".safetensors"}
    names = {str(path.relative_to(work)): path for path in work.rglob("*") if path.suffix in kept}
    return {
        name: path.read_bytes()
        for name, path in sorted(names.items())
        if path.is_file() and "/log/" not in name and path.name not in ("stage.json", "inputs.json")
    }


def test_every_document_is_accounted_for_in_every_stage(whole: Path, recipe_path: Path) -> None:
    declared = stages(load(recipe_path))
    for stage in declared:
        record = Record.signed(whole, stage)
        counts = record.counts
        assert counts["documents_in"] == counts["documents_out"] + sum(counts["dropped"].values()), stage.name
    by_name = {stage.name: Record.signed(whole, stage).counts for stage in declared}
    for source in ("web", "code", "science"):
        assert by_name[f"filter/{source}"]["documents_in"] == by_name[f"ingest/{source}"]["documents_out"] > 0
        assert by_name[f"dedup/{source}"]["documents_in"] == by_name[f"filter/{source}"]["documents_out"]
        for context in (128, 256):
            packed = by_name[f"pack/{source}/{context}"]
            assert packed["documents_in"] == by_name[f"dedup/{source}"]["documents_out"]
            assert packed["documents_out"] + by_name[f"heldout/{source}"]["documents_out"] == packed["documents_in"]


def test_every_token_of_every_kept_document_is_in_exactly_one_row(whole: Path) -> None:
    for folder in sorted(whole.glob("pack/*/*")):
        counts = (Record.read(folder) or pytest.fail("no record")).counts
        shards = Shards(folder)
        pieces = sum(len(shards[row].doc) for row in range(len(shards)))
        assert shards.tokens - 2 * pieces == counts["text_tokens"]
        documents = {int(doc) for row in range(len(shards)) for doc in shards[row].doc}
        assert len(documents) == counts["documents_out"]


def test_held_out_documents_are_in_no_row_of_training(whole: Path) -> None:
    for source in ("web", "code", "science"):
        held = Shards(whole / "heldout" / source)
        out = {int(doc) for row in range(len(held)) for doc in held[row].doc}
        for context in ("128", "256"):
            shards = Shards(whole / "pack" / source / context)
            assert not out & {int(doc) for row in range(len(shards)) for doc in shards[row].doc}


def test_a_second_run_does_nothing_and_changes_nothing(whole: Path, recipe_path: Path) -> None:
    before = outputs(whole)
    again = bertmill("run", recipe_path, "--work", whole)
    assert again.returncode == 0, again.stderr
    lines = [line for line in again.stdout.splitlines() if " in " in line and " out" in line]
    assert len(lines) == len(stages(load(recipe_path)))
    assert all("   done  " in line for line in lines)
    assert outputs(whole) == before


def test_workers_and_tasks_are_no_part_of_any_result(
    whole: Path, recipe_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun with 7 tasks, stopped before its end, finished with 2 tasks and 2 workers."""
    monkeypatch.setattr(engines_run, "WORKER_BYTES", 1)  # two workers though there is little to do
    recipe = load(recipe_path)
    prepare(recipe, tmp_path, Engine(workers=1, tasks=7), until="filter/web")
    prepare(recipe, tmp_path, Engine(workers=2, tasks=2))
    theirs, ours = outputs(whole), outputs(tmp_path)
    assert len(ours) > 100
    assert ours == {name: theirs[name] for name in ours}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_killed_at_any_moment_ends_with_the_same_bytes(
    whole: Path, recipe_path: Path, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    kills = 0
    for _ in range(10):
        process = subprocess.Popen(
            [str(BERTMILL), "run", str(recipe_path), "--work", str(tmp_path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        stop = time.monotonic() + dice.uniform(1, 5)
        while process.poll() is None and time.monotonic() < stop:
            time.sleep(0.05)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    final = bertmill("run", recipe_path, "--work", tmp_path)
    assert final.returncode == 0, final.stderr
    assert kills >= 1
    assert outputs(tmp_path) == outputs(whole)
    steps = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    numbers = [step["step"] for step in steps if step["kind"] == "step"]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_changed_recipe_is_refused_until_the_stage_is_started_over(
    whole: Path, recipe_path: Path, tmp_path: Path
) -> None:
    prepare(load(recipe_path), tmp_path, Engine(), until="filter")
    changed = tmp_path / "changed.yaml"
    changed.write_text(recipe_path.read_text().replace("min_words: 50", "min_words: 60"))
    with pytest.raises(StageError, match=r"min_words: 50 -> 60.*--redo filter/science"):
        prepare(load(changed), tmp_path, Engine(), until="filter")
    prepare(load(changed), tmp_path, Engine(), until="filter", redo=["filter/science"])
    web = Path("filter/web/00000.parquet")
    assert (tmp_path / web).read_bytes() == (whole / web).read_bytes()


def test_starting_a_stage_over_clears_all_that_read_it(recipe_path: Path, tmp_path: Path) -> None:
    declared = stages(load(recipe_path))
    for stage in declared:
        (tmp_path / stage.name).mkdir(parents=True)
    start_over(declared, tmp_path, "filter/web")
    left = {stage.name for stage in declared if (tmp_path / stage.name).exists()}
    assert left == {"ingest/web", "ingest/code", "ingest/science", "filter/code", "filter/science"} | {
        f"signatures/{name}" for name in ("code", "science")
    }
    with pytest.raises(StageError, match=r"there is no stage 'fitler'; the stages are: ingest/code"):
        start_over(declared, tmp_path, "fitler")


def test_two_runs_do_not_work_in_one_folder(recipe_path: Path, tmp_path: Path) -> None:
    from commands.run import only_one

    with only_one(tmp_path):
        second = bertmill("run", recipe_path, "--work", tmp_path)
    assert second.returncode == 1
    assert "another bertmill works in this folder" in second.stderr


def test_verify_passes_a_whole_run_and_finds_any_flipped_byte(whole: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(whole, copy, symlinks=True)
    assert len(list(verify(copy))) > 20
    dice = random.Random(3)
    files = [*copy.glob("*/*/[0-9]*.parquet"), *copy.glob("pack/*/*/*.mds"), *copy.glob("checkpoints/*/*.safetensors")]
    for path in dice.sample(files, 8):
        content = bytearray(path.read_bytes())
        at = dice.randrange(len(content))
        content[at] ^= 1 << dice.randrange(8)
        original = path.read_bytes()
        path.write_bytes(content)
        with pytest.raises((VerifyError, ShardError, CheckpointError), match=path.name):
            list(verify(copy))
        path.write_bytes(original)


def test_documents_are_read_by_any_parquet_reader(whole: Path) -> None:
    table = pq.read_table(whole / "dedup/science/00000.parquet")
    assert table.num_rows > 0
    assert set(table["kind"].to_pylist()) == {"science"}


def test_a_full_disk_is_told_in_a_line_and_loses_nothing_finished(
    whole: Path, recipe_path: Path, tmp_path: Path
) -> None:
    """A limit on the size of files stands in for the disk: the same faults come from the same calls."""

    def full(size: int) -> subprocess.CompletedProcess[str]:
        def limited() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        command = [str(BERTMILL), "run", str(recipe_path), "--work", str(tmp_path)]
        return subprocess.run(command, capture_output=True, text=True, preexec_fn=limited, check=False)

    for size in (10_000, 50_000, 300_000):
        stopped = full(size)
        assert stopped.returncode == 1, stopped.stdout
        assert "Traceback" not in stopped.stderr
        assert stopped.stderr.count("\n") <= 12
    done = bertmill("run", recipe_path, "--work", tmp_path)
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path) == outputs(whole)
