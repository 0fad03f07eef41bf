"""Packed shards come back as they were, are unpacked when they are first used, and any damage is told by file."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import zstandard

from commands import shards as command
from commands.verify import verify as verify_all
from packing.arrival import CACHE_LIMIT, LOCK
from packing.index import INDEX, check_index, read_index
from packing.shard import opened
from packing.shards import ShardError, Shards, verify
from packing.transport import NOTE, fetch, send
from pipeline.stores.mirror import MIRRORS
from pipeline.stores.mirror import opened as mirrored
from pipeline.stores.store import Store, StoreError
from tests.conftest import bertmill
from tests.test_shards import folder, many

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(MIRRORS, str(tmp_path / "mirrors"))
    return tmp_path / "mirrors"


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """Three shards of 200 rows and one of a single row."""
    return folder(tmp_path / "plain", many(200, 1), many(200, 2), many(200, 3), many(1, 4))


@pytest.fixture
def sent(plain: Path, tmp_path: Path) -> Path:
    list(send(plain, f"file://{tmp_path}/sent"))
    return tmp_path / "sent"


def contents(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def same_rows(found: Shards, expected: Shards) -> bool:
    numbers = np.random.default_rng(0).permutation(len(expected))
    pairs = zip(found.rows(numbers), expected.rows(numbers), strict=True)
    return len(found) == len(expected) and all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("address", ["file://{}/sent", "{}/sent", "memory://{}/sent"])
def test_what_was_sent_comes_back_to_the_byte(plain: Path, tmp_path: Path, address: str) -> None:
    address = address.format(tmp_path)
    told = list(send(plain, address))
    assert [one.name for one in told] == [f"0000{n}.mds" for n in range(4)]
    store = Store(address)
    assert sorted(store.sizes("", deep=True)) == [*(f"0000{n}.mds.zstd" for n in range(4)), INDEX]
    assert [one.packed for one in told] == list(store.sizes("").values())[:4]
    list(fetch(address, tmp_path / "back"))
    assert contents(tmp_path / "back") == contents(plain)


def test_shards_are_sent_from_and_brought_to_folders_named_from_where_one_stands(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(plain.parent)
    list(send(Path(plain.name), f"file://{tmp_path}/sent"))
    monkeypatch.chdir(tmp_path)
    list(fetch(f"file://{tmp_path}/sent", Path("back")))
    assert contents(tmp_path / "back") == contents(plain)


def test_a_packed_shard_is_one_zstd_frame_that_tells_its_size_and_the_index_is_the_librarys(
    plain: Path, sent: Path
) -> None:
    index = json.loads((sent / INDEX).read_text())
    assert (sent / INDEX).read_text() == json.dumps(index, sort_keys=True)
    before = json.loads((plain / INDEX).read_text())
    for told, original in zip(index["shards"], before["shards"], strict=True):
        packed = (sent / told["zip_data"]["basename"]).read_bytes()
        assert zstandard.frame_content_size(packed) == original["raw_data"]["bytes"]
        assert zstandard.decompress(packed) == (plain / original["raw_data"]["basename"]).read_bytes()
        assert told == {**original, "compression": "zstd", "zip_data": told["zip_data"]}
        assert told["zip_data"]["bytes"] == len(packed)
    check_index(sent)


def test_packed_shards_on_disk_and_in_a_store_are_read_and_only_those_that_are_used_are_unpacked(
    plain: Path, sent: Path, mirrors: Path
) -> None:
    before = contents(sent)
    shards = Shards(sent)
    assert len(shards) == 601
    assert not list(mirrors.rglob("*.mds"))
    assert np.array_equal(shards[450].input_ids, Shards(plain)[450].input_ids)
    assert [path.name for path in mirrors.rglob("*.mds*")] == ["00002.mds"]
    assert same_rows(shards, Shards(plain))
    assert contents(sent) == before
    list(send(plain, "memory://rows-to-read"))
    assert same_rows(Shards(mirrored("memory://rows-to-read")), Shards(plain))


def test_shards_that_are_here_are_not_brought_again(plain: Path, sent: Path) -> None:
    assert same_rows(Shards(sent), Shards(plain))
    opened.cache_clear()
    for path in sent.glob("*.zstd"):
        path.unlink()
    assert same_rows(Shards(sent), Shards(plain))


def test_a_shard_that_was_damaged_in_the_mirror_is_brought_again(plain: Path, sent: Path, mirrors: Path) -> None:
    assert same_rows(Shards(sent), Shards(plain))
    path = next(mirrors.rglob("00001.mds"))
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1])):
        opened.cache_clear()
        path.write_bytes(damaged)
        assert same_rows(Shards(sent), Shards(plain))


def test_a_damaged_or_missing_packed_shard_is_named(sent: Path, tmp_path: Path) -> None:
    path = sent / "00001.mds.zstd"
    whole = path.read_bytes()
    flipped = whole[:200] + bytes([whole[200] ^ 4]) + whole[201:]
    cases = [(flipped, "is not what was signed"), (whole[:-7], "is not what was signed"), (None, "has gone")]
    for content, told in cases:
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(StoreError, match=rf"00001\.mds\.zstd: {told}; send these shards again"):
            Shards(sent)[300]
        with pytest.raises(StoreError, match=r"00001\.mds\.zstd"):
            list(fetch(str(sent), tmp_path / "back"))
        assert not (tmp_path / "back" / INDEX).exists()
        with pytest.raises(ShardError, match=r"00001\.mds\.zstd: (bytes 0 to|ends at offset|is missing)"):
            verify(sent)
    path.write_bytes(whole)
    list(fetch(str(sent), tmp_path / "back"))
    assert verify(sent) == verify(tmp_path / "back")


def signed(sent: Path, content: bytes) -> None:
    """Put another packed file in the place of the first, with an index that vouches for it."""
    import xxhash

    index = json.loads((sent / INDEX).read_text())
    index["shards"][0]["zip_data"] |= {"bytes": len(content), "hashes": {"xxh64": xxhash.xxh64_hexdigest(content)}}
    (sent / "00000.mds.zstd").write_bytes(content)
    (sent / INDEX).write_text(json.dumps(index, sort_keys=True))


@pytest.mark.parametrize("kind", ["other", "cut", "bomb", "junk"])
def test_what_does_not_unpack_to_the_shard_is_refused(sent: Path, plain: Path, kind: str) -> None:
    raw = (plain / "00000.mds").read_bytes()
    content = {
        "other": zstandard.compress(raw[:-1] + b"!"),
        "cut": zstandard.compress(raw)[:-9],
        "bomb": zstandard.compress(bytes(1 << 28)),
        "junk": b"no frame at all",
    }[kind]
    signed(sent, content)
    for read in (lambda: Shards(sent)[0], lambda: verify(sent)):
        with pytest.raises(ShardError, match=r"00000\.mds\.zstd: (does not unpack to|cannot be unpacked from byte)"):
            read()


def test_every_flipped_byte_of_a_packed_folder_is_found(tmp_path: Path) -> None:
    list(send(folder(tmp_path / "few", many(2, 1)), str(tmp_path / "sent")))
    verify(tmp_path / "sent")
    for path in sorted((tmp_path / "sent").iterdir()):
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
            with pytest.raises(ShardError):
                verify(tmp_path / "sent")
        path.write_bytes(whole)


def test_a_shard_that_is_damaged_is_not_sent(plain: Path, tmp_path: Path) -> None:
    path = plain / "00002.mds"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ShardError, match=r"00002\.mds: has the xxh64"):
        list(send(plain, str(tmp_path / "sent")))
    assert not (tmp_path / "sent" / INDEX).exists()
    with pytest.raises(ShardError, match=r"index\.json: is missing; send these shards to their end"):
        list(fetch(str(tmp_path / "sent"), tmp_path / "back"))


def test_a_sending_that_was_cut_off_goes_on_and_sends_nothing_twice(plain: Path, tmp_path: Path) -> None:
    address = str(tmp_path / "sent")
    cut = send(plain, address)
    assert [next(cut).name, next(cut).name] == ["00000.mds", "00001.mds"]
    cut.close()
    assert len(list((tmp_path / "sent").glob(f"*{NOTE}"))) == 2
    before = {path: path.stat().st_ino for path in (tmp_path / "sent").glob("*.zstd")}
    (tmp_path / "sent" / "00001.mds.zstd").write_bytes(b"cut off")
    list(send(plain, address))
    after = {path.name: path.stat().st_ino for path in (tmp_path / "sent").glob("*.zstd")}
    assert [after[path.name] == inode for path, inode in sorted(before.items())] == [True, False]
    assert not list((tmp_path / "sent").glob(f"*{NOTE}"))
    list(send(plain, address))  # once more: nothing to do
    assert {path.name: path.stat().st_ino for path in (tmp_path / "sent").glob("*.zstd")} == after
    list(fetch(address, tmp_path / "back"))
    assert contents(tmp_path / "back") == contents(plain)


def test_other_shards_are_never_overwritten(plain: Path, sent: Path, tmp_path: Path) -> None:
    other = folder(tmp_path / "other", many(9, 9))
    with pytest.raises(ShardError, match="holds other shards; name an empty folder"):
        list(send(other, str(sent)))
    before = contents(other)
    with pytest.raises(ShardError, match="holds other shards than"):
        list(fetch(str(sent), other))
    assert contents(other) == before
    with pytest.raises(ShardError, match="is packed already"):
        list(send(sent, str(tmp_path / "twice")))


KILLED = """
import os, signal, sys
from pathlib import Path
import packing.{module} as module
from packing.transport import fetch, send
done = []
name = "{function}"
real = getattr(module, name)
def killed(*given, **named):
    if len(done) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    done.append(1)
    return real(*given, **named)
setattr(module, name, killed)
list({call})
"""


@pytest.mark.parametrize(
    ("module", "function"), [("arrival", "unpack"), ("arrival", "durable"), ("transport", "bring")]
)
def test_a_fetching_that_was_killed_leaves_nothing_that_looks_whole_and_goes_on(
    plain: Path, sent: Path, tmp_path: Path, module: str, function: str
) -> None:
    back = tmp_path / "back"
    call = f"fetch({str(sent)!r}, Path({str(back)!r}))"
    script = KILLED.format(module=module, function=function, call=call)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (back / "00000.mds").exists()
    assert not (back / INDEX).exists()
    first = (back / "00000.mds").stat().st_ino
    (back / "00001.mds.elsewhere.1.draft").write_bytes(b"left by a killed process")
    list(fetch(str(sent), back))
    assert contents(back) == contents(plain)
    assert (back / "00000.mds").stat().st_ino == first
    assert not (back / LOCK).exists()


def test_many_processes_and_threads_that_ask_at_once_get_whole_shards(plain: Path, sent: Path, mirrors: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from packing.shards import Shards; "
        f"print(hash(Shards(Path({str(sent)!r})).rows(range(601)).input_ids.tobytes()))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    running = [
        subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    with ThreadPoolExecutor(4) as pool:
        barrier = threading.Barrier(4)

        def read(_: int) -> bool:
            barrier.wait()
            return same_rows(Shards(sent), Shards(plain))

        assert all(pool.map(read, range(4)))
    told = {process.communicate()[0] for process in running}
    assert len(told) == 1
    assert sorted(path.name for path in mirrors.rglob("*.mds*")) == [f"0000{n}.mds" for n in range(4)]


def test_shards_that_were_opened_longest_ago_make_room(
    plain: Path, sent: Path, mirrors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [entry.size for entry in read_index(plain)]
    monkeypatch.setenv(CACHE_LIMIT, str((sizes[0] + sizes[1] + 10) / 1e9))
    shards, expected = Shards(sent), Shards(plain)
    for number, kept in ((0, {0}), (250, {0, 1}), (600, {1, 3}), (450, {2, 3})):
        first = shards[number]
        assert np.array_equal(first.input_ids, expected[number].input_ids)
        assert {int(path.stem) for path in mirrors.rglob("*.mds")} == kept
    assert np.array_equal(shards[0].doc, expected[0].doc)  # mapped, though its file has gone
    monkeypatch.setenv(CACHE_LIMIT, "0.000001")
    opened.cache_clear()
    with pytest.raises(ShardError, match=r"00000\.mds: has \d+ bytes, BERTMILL_SHARDS_GB=0.000001 leaves no room"):
        Shards(sent)[0]
    monkeypatch.setenv(CACHE_LIMIT, "much")
    with pytest.raises(ShardError, match="BERTMILL_SHARDS_GB=much: is no number of gigabytes"):
        Shards(sent)[0]


def test_the_commands_carry_all_folders_of_shards_and_verify_reads_what_was_sent(tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    for name in ("web/128", "code/128"):
        (pack / name).mkdir(parents=True)
        folder(pack / name, many(20, len(name)))
    done = bertmill("send", pack, f"file://{tmp_path}/sent")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["code/128", "web/128"]
    assert [counts["rows"] for _, counts in verify_all(tmp_path / "sent")] == [20, 20]
    done = bertmill("fetch", tmp_path / "sent", tmp_path / "back")
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(tmp_path / "back") == contents(pack)
    assert [one.shards for one in command.fetch(str(tmp_path / "sent"), tmp_path / "back")] == [1, 1]
    failed = bertmill("fetch", "memory://nothing-here", tmp_path / "b")
    assert failed.returncode == 1
    assert failed.stderr.startswith("memory://nothing-here: holds no index.json of shards")
    assert failed.stderr.count("\n") == 1
    with pytest.raises(ShardError, match=r"holds no index\.json of shards"):
        list(command.send(tmp_path / "none", "memory://x"))


def test_random_flips_in_any_file_of_a_plain_folder_are_found(plain: Path) -> None:
    dice = random.Random(5)
    for path in sorted(plain.iterdir()):
        whole = path.read_bytes()
        head = min(len(whole), 4 * 201 + 400)
        for number in range(120):
            at = dice.randrange(head) if number % 2 else dice.randrange(len(whole))
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1 :])
            with pytest.raises(ShardError, match=r"\.mds|index\.json" if path.name == INDEX else path.name):
                verify(plain)
        path.write_bytes(whole)
