"""Raw files and runs in a real S3-compatible server on loopback (moto's)."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from multiprocess import forkserver

from commands.look import look
from commands.report import records
from commands.run import prepare
from commands.trace import traced
from commands.verify import verify
from pipeline.engines import run as engines_run
from pipeline.engines.run import Engine, run
from pipeline.ingest.reading import UnreadableFile
from pipeline.ingest.remote import fetched
from pipeline.settings import TextSource
from pipeline.stage import Stage
from pipeline.stores.mirror import opened
from pipeline.stores.store import Store, StoreError
from pipeline.tally import Tally
from pipeline.units import InputError, Unit, find, group
from recipes.load import load
from recipes.plan import stages
from tests.conftest import bertmill

ROOT = Path(__file__).parents[1]

TEXT = """\
name: tales
seed: 3
unit: 8K
sources:
  one: {{kind: text, read: {raw}/one/*.jsonl}}
  two: {{kind: text, read: "{raw}/two/*.parquet"}}
dedup: {{near: null}}
tokenizer: {{vocab: 512, sample: 1M}}
packing: {{unit: 4K, holdout: 0.1, max_epochs: 1000}}
model: {{layers: 1, hidden: 16, heads: 2, intermediate: 24, window: 32}}
train:
  batch: {{rows: 4}}
  save_every: 1K
  phases: [{{name: learn, tokens: 2K, context: 64, mix: {{one: 0.5, two: 0.5}}}}]
  evaluate: {{rows: 2}}
"""

NOUNS = ("cat", "dog", "bird", "fish", "horse", "child", "judge", "miller", "river", "mountain")
VERBS = ("sees", "finds", "follows", "forgets", "answers", "remembers")


def tale(number: int) -> str:
    told = (number // 3 * 3 if number % 3 == 2 else number) * 2_654_435_761  # every third repeats another
    words = [
        f"the {NOUNS[(told >> n) % 10]} {VERBS[(told >> 2 * n) % 6]} the {NOUNS[(told >> 3 * n) % 10]}"
        for n in range(9)
    ]
    return ". ".join(words)


def address_of(server: ThreadedMotoServer) -> str:
    return "http://{}:{}".format(*server.get_host_and_port())


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadedMotoServer]:
    found = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    found.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address_of(found))
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        for name, value in (("ACCESS_KEY_ID", "key"), ("SECRET_ACCESS_KEY", "secret"), ("DEFAULT_REGION", "us-east-1")):
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield found
    fsspec.filesystem("s3").clear_instance_cache()
    found.stop()


@pytest.fixture
def bucket(server: ThreadedMotoServer, request: pytest.FixtureRequest) -> str:
    """The address of a new bucket."""
    name = f"b{abs(hash(request.node.name))}"
    fsspec.filesystem("s3").mkdir(name)
    return f"s3://{name}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Each call is another machine, with nothing on its disk."""
    numbers = iter(range(100))

    def on(address: str) -> Path:
        monkeypatch.setenv("BERTMILL_MIRRORS", str(tmp_path / "machines" / str(next(numbers))))
        return opened(address)

    return on


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    (folder / "one").mkdir(parents=True)
    (folder / "two").mkdir()
    for file in range(3):
        numbers = range(60 * file, 60 * file + 60)
        (folder / f"one/{file}.jsonl").write_text("".join(json.dumps({"text": tale(n)}) + "\n" for n in numbers))
        pq.write_table(pa.table({"text": [tale(n + 170) for n in numbers]}), folder / f"two/{file}.parquet")
    return folder


def outputs(work: Path) -> dict[str, bytes]:
    names = {path.relative_to(work).as_posix(): path for path in sorted(work.rglob("*")) if path.is_file()}
    kept = {name: path for name, path in names.items() if "/log/" not in name and not name.startswith(".")}
    return {name: path.read_bytes() for name, path in kept.items() if path.name not in ("stage.json", "inputs.json")}


def in_store(address: str) -> dict[str, bytes]:
    store = Store(address)
    contents = store.read(store.sizes("", deep=True))
    return {name: content for name, content in contents.items() if Path(name).name not in ("stage.json", "inputs.json")}


def test_a_run_from_a_bucket_into_a_bucket_on_two_machines_is_that_of_one_disk(
    raw: Path, tmp_path: Path, bucket: str, machine: Any
) -> None:
    fsspec.filesystem("s3").put(str(raw), f"{bucket}/raw", recursive=True)
    here, far = tmp_path / "here.yaml", tmp_path / "far.yaml"
    here.write_text(TEXT.format(raw=raw))
    far.write_text(TEXT.format(raw=f"{bucket}/raw"))
    local = bertmill("run", here, "--work", tmp_path / "disk")
    assert local.returncode == 0, local.stderr
    prepare(load(far), machine(f"{bucket}/run"), Engine(), until="filter")
    machine(f"{bucket}/run")
    done = bertmill("run", far, "--work", f"{bucket}/run")
    assert done.returncode == 0, done.stderr
    assert f"export, in the store {bucket}/run/export" in done.stdout
    assert done.stdout.count("   done  ") == 4
    mine, theirs = outputs(tmp_path / "disk"), in_store(f"{bucket}/run")
    told = {"recipe.yaml", "metrics.jsonl", "export/README.md", "export/hashes.json"}  # addresses and times
    told |= {name for name in mine if name.endswith("state.json")}  # and the fingerprint of the input files
    assert mine.keys() == theirs.keys()
    assert {name for name in mine if mine[name] != theirs[name]} <= told

    work = machine(f"{bucket}/run")
    assert f"{bucket}/run/export" in [name for name, _ in verify(work)]
    (row,) = look(work / "pack/one/64", 1)
    assert row == next(look(tmp_path / "disk/pack/one/64", 1))
    found = traced(machine(f"{bucket}/run"), 3)
    assert found["pieces"][0]["file"].startswith(f"{bucket}/raw/")
    assert found["pieces"][0]["raw"] == traced(tmp_path / "disk", 3)["pieces"][0]["raw"]
    assert len(records(machine(f"{bucket}/run"), stages(load(far)))) == len(stages(load(far)))


def test_documents_of_a_bucket_are_those_of_the_same_files_on_disk(raw: Path, tmp_path: Path, bucket: str) -> None:
    from pipeline.ingest.stage import ingest

    fsspec.filesystem("s3").put(str(raw), f"{bucket}/raw", recursive=True)
    source = TextSource(kind="text", read="x")
    tables = []
    for top in (f"{bucket}/raw", str(raw)):
        (unit,) = group(find([f"{top}/**/*.jsonl", f"{top}/**/*.parquet"]), 1 << 20)
        ingest(unit, tmp_path / "out.parquet", Tally(), source=source, name="here")
        tables.append(pq.read_table(tmp_path / "out.parquet"))
    assert tables[0].equals(tables[1])
    assert tables[0].num_rows == 360


def test_a_file_that_changed_since_it_was_listed_is_not_read(raw: Path, bucket: str) -> None:
    files = fsspec.filesystem("s3")
    files.put_file(str(raw / "one/0.jsonl"), f"{bucket}/0.jsonl")
    (piece,) = find([f"{bucket}/*.jsonl"])
    with fetched(piece) as local:
        assert Path(local.path).read_bytes() == (raw / "one/0.jsonl").read_bytes()
    files.put_file(str(raw / "one/1.jsonl"), f"{bucket}/0.jsonl")
    with pytest.raises(UnreadableFile, match=r"0\.jsonl: has changed since it was listed"), fetched(piece):
        pass


SLOW = """
    import os, sys, time
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from pipeline.engines.run import Engine, run
    from pipeline.stores.mirror import opened
    from pipeline.stage import Stage
    from pipeline.units import find, group

    def slow(unit, out, tally):
        text = b"".join(Path(piece.path).read_bytes() for piece in unit.pieces)
        tally.read(1, 0)
        tally.kept(1, 0)
        out.write_bytes(text)
        print(unit.number, flush=True)
        time.sleep({pause})

    if __name__ == "__main__":
        stage = Stage(name="slow", work=lambda _: slow, units=lambda _: group(find([{pattern!r}]), 1), suffix=".txt")
        run(stage, opened({address!r}), Engine())
"""


def test_kill_9_in_the_middle_and_another_machine_goes_on_to_the_same_bytes(
    raw: Path, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def process(number: int, address: str, pause: float) -> subprocess.Popen[str]:
        monkeypatch.setenv("BERTMILL_MIRRORS", str(tmp_path / str(number)))
        script = tmp_path / f"slow_{number}.py"
        filled = SLOW.format(root=str(ROOT), pause=pause, pattern=f"{raw}/*/*", address=address)
        script.write_text(textwrap.dedent(filled))
        return subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)

    first = process(1, f"{bucket}/run", 0.2)
    for _ in range(3):
        assert first.stdout
        first.stdout.readline()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    store = Store(f"{bucket}/run")
    stood = store.sizes("slow/units")
    assert 1 <= len(stood) < 6
    for name in stood:
        number = Path(name).stem
        assert store.read([f"slow/{number}.txt"])
    second, local = process(2, f"{bucket}/run", 0), process(3, str(tmp_path / "disk"), 0)
    done, _ = second.communicate()
    local.communicate()
    assert (second.returncode, local.returncode) == (0, 0)
    assert len(done.split()) == 6 - len(stood)
    assert in_store(f"{bucket}/run") == outputs(tmp_path / "disk")


def copy(unit: Unit, out: Path, tally: Tally, *, stop: str = "", server: Any = None) -> None:
    for piece in unit.pieces:
        if piece.name == stop:
            server.stop()
        tally.read(1, 0)
        tally.kept(1, 0)
        shutil.copy(piece.path, out)


def copies(raw: Path, **how: Any) -> Stage:
    return Stage(
        name="copy",
        work=lambda _: partial(copy, **how),
        units=lambda _: group(find([f"{raw}/*/*"]), 1),
        suffix=".txt",
    )


def test_a_network_that_is_lost_in_the_middle_loses_nothing_that_stood(
    raw: Path, tmp_path: Path, bucket: str, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = fsspec.filesystem("s3")
    short = ThreadedMotoServer("127.0.0.1", 0, verbose=False)  # of the same buckets
    short.start()
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", address_of(short))
        files.clear_instance_cache()
        work = machine(f"{bucket}/run")
        with pytest.raises(StoreError, match=rf"^{bucket}/run/copy.*: cannot be .*Could not connect"):
            run(copies(raw, stop="two/0.parquet", server=short), work, Engine())
    files.clear_instance_cache()
    assert len(Store(f"{bucket}/run").sizes("copy/units")) == 3
    run(copies(raw), machine(f"{bucket}/run"), Engine())
    run(copies(raw), tmp_path / "disk", Engine())
    assert in_store(f"{bucket}/run") == outputs(tmp_path / "disk")


def test_two_workers_put_their_units_into_the_store(
    raw: Path, tmp_path: Path, bucket: str, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines_run, "WORKER_BYTES", 1)
    forkserver._forkserver._stop()  # it has the environment of the test that started it
    run(copies(raw), machine(f"{bucket}/run"), Engine(workers=2))
    run(copies(raw), tmp_path / "disk", Engine())
    assert in_store(f"{bucket}/run") == outputs(tmp_path / "disk")


def test_a_missing_bucket_is_told_in_a_line(raw: Path, server: ThreadedMotoServer, machine: Any) -> None:
    with pytest.raises(StoreError, match=r"^s3://no-such-bucket/run/copy/stage.json: cannot be written \(.*bucket"):
        run(copies(raw), machine("s3://no-such-bucket/run"), Engine())
    with pytest.raises(InputError, match=r"s3://no-such-bucket/\* (cannot be listed|matches no file)"):
        find(["s3://no-such-bucket/*"])


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "credentials"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}, "connect"),
    ],
)
def test_a_store_that_does_not_let_in_is_told_in_a_line(
    server: ThreadedMotoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, Any], told: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    done = bertmill("look", "s3://bucket/run")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert done.stderr.startswith("s3://bucket/run: cannot be read (")
    assert told in done.stderr


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['s3fs'] = None; sys.argv = ['bertmill', 'look', 's3://b/x']; import cli; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "s3://b/x/recipe.yaml: cannot be read" in done.stderr or "s3://b/x: cannot be read" in done.stderr
    assert done.stderr.rstrip().endswith("pip install 'bertmill[s3]')")
