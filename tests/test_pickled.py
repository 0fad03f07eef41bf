"""A .pt file may hold a program. None of it runs."""

import builtins
import os
import pickle
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from model.bert import Bert
from model.pickled import PASSED_OVER, PickledError, check_bytes, opened
from tests.toy_flexbert import saved
from tests.toy_training import SHAPE


class Runs:
    """Calls something as it is unpickled."""

    def __init__(self, what: Callable[..., Any], *given: Any) -> None:
        self.what, self.given = what, given

    def __reduce__(self) -> Any:
        return self.what, self.given


def file(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("what", "named"),
    [
        (lambda mark: Runs(os.system, f"touch {mark}"), f"{os.system.__module__}.system"),
        (lambda mark: Runs(builtins.eval, f"open({str(mark)!r}, 'w')"), "builtins.eval"),
        (lambda mark: Runs(builtins.exec, f"open({str(mark)!r}, 'w')"), "builtins.exec"),
        (lambda mark: Runs(builtins.getattr, "text", "upper"), "builtins.getattr"),
        (lambda mark: {"state": {"model": [{"a": (Runs(os.mkdir, str(mark)),)}]}}, f"{os.mkdir.__module__}.mkdir"),
        (lambda mark: {"state": {Runs(os.putenv, "A", str(mark)): 1}}, f"{os.putenv.__module__}.putenv"),
    ],
)
def test_a_file_that_would_run_code_is_refused_in_a_line_that_names_what(
    tmp_path: Path, what: Callable[[Path], Any], named: str, legacy: bool
) -> None:
    mark, path = tmp_path / "ran", tmp_path / "hostile.pt"
    torch.save(what(mark), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(PickledError) as told:
        opened(path)
    assert str(told.value).startswith(f"{path}: asks for {named} as it is read")
    assert "--trust-pickle" in str(told.value)
    assert "\n" not in str(told.value)
    assert not mark.exists()


def test_code_hidden_between_the_objects_of_a_whole_checkpoint_is_found(tmp_path: Path) -> None:
    content = saved(Bert(SHAPE, 300))
    content["rng"][0]["python"] = Runs(os.mkdir, str(tmp_path / "ran"))
    with pytest.raises(PickledError, match=r"asks for \w+\.mkdir as it is read"):
        opened(file(tmp_path / "a.pt", content))
    assert not (tmp_path / "ran").exists()


def test_only_who_says_so_lets_a_file_run_what_it_brings(tmp_path: Path) -> None:
    path = file(tmp_path / "a.pt", {"a": Runs(os.mkdir, str(tmp_path / "ran"))})
    assert "a" in opened(path, trust_pickle=True)
    assert (tmp_path / "ran").is_dir()


def test_classes_that_are_passed_over_are_neither_imported_nor_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile package of one of the names would otherwise have its way."""
    calls = []
    module = types.ModuleType("composer.core.time")

    class Time:
        def __init__(self, value: int = 0) -> None:
            self.value = value

        def __reduce__(self) -> Any:
            return Time, (self.value,), {"value": self.value}

        def __setstate__(self, state: Any) -> None:
            calls.append(state)

    Time.__module__, Time.__qualname__ = "composer.core.time", "Time"
    module.Time = Time  # type: ignore[attr-defined]
    for name in ("composer", "composer.core"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "composer.core.time", module)
    path = file(tmp_path / "a.pt", {"time": Time(3), "kept": torch.arange(3)})
    monkeypatch.delitem(sys.modules, "composer.core.time")
    found = opened(path)
    assert found["kept"].tolist() == [0, 1, 2]
    assert not isinstance(found["time"], Time)
    assert calls == []


def test_no_name_that_is_passed_over_reaches_the_real_thing(tmp_path: Path) -> None:
    """Hand-made opcodes: each name is called with an argument that the real one would refuse or act on."""
    for name in PASSED_OVER:
        module, _, attribute = name.rpartition(".")
        program = b"\x80\x02}X\x01\x00\x00\x00a" + f"c{module}\n{attribute}\n".encode()
        argument = b"X" + struct.pack("<I", 3) + b"(1)"
        program += argument + b"\x85Rs."
        (tmp_path / "a.pt").write_bytes(legacy(program))
        assert type(opened(tmp_path / "a.pt")["a"]).__name__ == "_PassedOver", name


def legacy(program: bytes) -> bytes:
    """A file of torch's older form around a pickle."""
    head = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    return b"".join(pickle.dumps(part, protocol=2) for part in head) + program + pickle.dumps([], protocol=2)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no whole .pt file"),
        (b"not a pickle at all", "cannot be read safely|is no whole .pt file"),
        (b"PK\x03\x04 and then nothing", "is no whole .pt file|cannot be read safely"),
        (b"\x80\x05\x95", "is no whole .pt file|cannot be read safely"),
    ],
)
def test_what_is_no_pt_file_is_told_so(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    with pytest.raises(PickledError, match=told) as fault:
        opened(path)
    assert "\n" not in str(fault.value)


def test_a_file_that_was_cut_off_or_changed_is_told_to_be_damaged(tmp_path: Path) -> None:
    path = file(tmp_path / "a.pt", {"a": torch.arange(4000.0), "b": 3})
    whole = path.read_bytes()
    check_bytes(path)
    for size in range(0, len(whole), len(whole) // 7):
        path.write_bytes(whole[:size])
        with pytest.raises(PickledError, match=r"a\.pt: "):
            opened(path)
        with pytest.raises(PickledError, match="fetch it again"):
            check_bytes(path)
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    with pytest.raises(PickledError, match="is not what was written"):
        check_bytes(path)


def test_what_holds_no_mapping_or_is_missing_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(PickledError, match="holds a list, not a Composer checkpoint"):
        opened(file(tmp_path / "a.pt", [1, 2]))
    with pytest.raises(PickledError, match="cannot be read"):
        opened(tmp_path / "none.pt")
