"""Repositories, as folders and in archives: each file a document with its language and its nearest licence."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from pipeline.documents import Document, Dropped
from pipeline.ingest.code.languages import language_of
from pipeline.ingest.code.licences import UNKNOWN, is_licence, licence_of
from pipeline.ingest.code.repositories import read_repository
from pipeline.ingest.reading import DamagedFile, UnreadableFile
from pipeline.ingest.stage import ingest, raw_record
from pipeline.settings import CodeSource
from pipeline.tally import Tally
from pipeline.units import Piece, Unit, find

MIT = (
    b"Permission is hereby granted, free of charge, to any person obtaining a copy.\n"
    b"permission notice shall be included"
)
GPL = b"GNU GENERAL PUBLIC LICENSE\nVersion 2, June 1991\n"
NOTEBOOK = json.dumps({"cells": [{"cell_type": "code", "source": "x = 1", "outputs": ["no"]}]}).encode()
FILES = {
    "src/a.py": b"import os\n",
    "src/a.h": b"#include <vector>\nnamespace a {}\n",
    "Makefile": b"all:\n\ttrue\n",
    "LICENSE": MIT,
    "deps/LICENSE": GPL,
    "deps/x.c": b"int x;\n",
    "n.ipynb": NOTEBOOK,
    "run": b"#!/usr/bin/env node\nlet x\n",
    "logo.png": b"\x89PNG\0\0",
    "empty.py": b"",
    "settings.json": b'{"a": 1}\n',
    "empty.json": b"",
    "utf16.cs": "class A {}".encode("utf-16"),
    "latin.c": "/* Größe */ int x;".encode("latin-1"),
    "big.txt": b"a b c\n" * 200_000,
    "bad.ipynb": b"{",
    "noise.bin": bytes(range(128, 256)) * 20,
}
EXPECTED = {
    "src/a.py": ("python", "MIT"),
    "src/a.h": ("c++", "MIT"),
    "Makefile": ("makefile", "MIT"),
    "LICENSE": ("text", "MIT"),
    "deps/LICENSE": ("text", "GPL-2.0-only"),
    "deps/x.c": ("c", "GPL-2.0-only"),
    "n.ipynb": ("jupyter notebook", "MIT"),
    "run": ("javascript", "MIT"),
    "logo.png": "binary_file",
    "empty.py": "empty_text",
    "settings.json": ("json", "MIT"),
    "empty.json": "empty_text",
    "utf16.cs": ("c#", "MIT"),
    "latin.c": ("c", "MIT"),
    "big.txt": "too_large",
    "bad.ipynb": "bad_notebook",
}


def lay(folder: Path) -> Path:
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def told(what: Document | Dropped) -> tuple[str | None, str | None] | str:
    return (what.language, what.license) if isinstance(what, Document) else what.reason


def outcomes(source: CodeSource) -> dict[str, Document | Dropped]:
    from pipeline.ingest.stage import _outcomes

    return {
        f"{piece.name}#{found.what.at}": found.what
        for piece in find(source.patterns)
        for found in _outcomes(piece, source)
    }


def test_every_file_of_a_folder_is_a_document_or_has_a_reason(tmp_path: Path) -> None:
    lay(tmp_path / "repos" / "one")
    lay(tmp_path / "repos" / "two")
    (tmp_path / "repos" / "bare").mkdir()
    (tmp_path / "repos" / "bare" / "x.go").write_text("package x\n")
    found = outcomes(CodeSource(kind="code", read=str(tmp_path / "repos/**/*")))
    for name, expected in EXPECTED.items():
        assert told(found[f"one/{name}#file"]) == told(found[f"two/{name}#file"]) == expected, name
    assert told(found["bare/x.go#file"]) == ("go", None)
    assert len(found) == 2 * len(FILES) + 1
    first = found["one/src/a.py#file"]
    assert isinstance(first, Document)
    assert first.metadata == {"path": "one/src/a.py", "repo": "one", "extension": "py"}
    notebook, latin = found["one/n.ipynb#file"], found["one/latin.c#file"]
    assert isinstance(notebook, Document)
    assert notebook.text == "```python\nx = 1\n```"
    assert isinstance(latin, Document)
    assert latin.text == "/* Größe */ int x;"


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tgz", "tar.zst", "zip"])
def test_an_archive_gives_what_its_folder_gives(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"one.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in FILES.items():
                packed.writestr(f"./{name}", content)
    else:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz" if "g" in ending else "w") as archive:
            for name, content in FILES.items():
                info = tarfile.TarInfo(f"./{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        content = stream.getvalue()
        path.write_bytes(zstandard.compress(content) if ending == "tar.zst" else content)
    source = CodeSource(kind="code", read=str(path))
    found = outcomes(source)
    for name, expected in EXPECTED.items():
        assert told(found[f"{path.name}#./{name}"]) == expected, name
    assert raw_record(source, path, "./src/a.py") == b"import os\n"
    assert len(found) == len(FILES)


def test_the_raw_record_of_a_file_is_the_file(tmp_path: Path) -> None:
    source = CodeSource(kind="code", read=str(lay(tmp_path / "one") / "**/*"))
    assert raw_record(source, tmp_path / "one/settings.json", "file") == FILES["settings.json"]


def test_links_and_submodules_are_no_files_of_the_repository(tmp_path: Path) -> None:
    one = lay(tmp_path / "repos" / "one")
    (one / ".git").mkdir()
    (one / "sub").mkdir()
    (one / "sub/.git").write_text("gitdir: ../.git/modules/sub\n")
    (one / "sub/a.py").write_text("x\n")
    (one / "linked.py").symlink_to("src/a.py")
    (one / "folder").symlink_to("src")
    found = outcomes(CodeSource(kind="code", read=str(tmp_path / "repos/**/*")))
    assert told(found["one/sub/a.py#file"]) == "submodule"
    assert told(found["one/linked.py#file"]) == "symlink"
    assert told(found["one/folder/a.py#file"]) == "symlink"
    assert told(found["one/src/a.py#file"]) == ("python", "MIT")


def test_the_licence_is_sought_up_to_the_repositorys_root(tmp_path: Path) -> None:
    one = lay(tmp_path / "one")
    (tmp_path / "LICENSE").write_bytes(GPL)
    narrow = CodeSource(kind="code", read=str(one / "src" / "*.py"))
    assert told(outcomes(narrow)["a.py#file"]) == ("python", None)
    (one / ".git").mkdir()
    from pipeline.ingest.code import repositories

    for known in (repositories._git_above, repositories._licence_above, repositories._licence_in):
        known.cache_clear()
    assert told(outcomes(narrow)["a.py#file"]) == ("python", "MIT")


def test_a_damaged_archive_gives_what_stands_before_the_damage(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("a.py", "b.py"):
            info = tarfile.TarInfo(name)
            info.size = 2000
            archive.addfile(info, io.BytesIO(b"x" * 2000))
    path = tmp_path / "one.tar"
    path.write_bytes(stream.getvalue()[:3600])
    found = []
    with pytest.raises(DamagedFile):
        for outcome in read_repository(Piece(str(path), path.name, 1)):
            found.append(outcome.what.at)  # noqa: PERF401
    assert found == ["a.py"]
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(UnreadableFile, match="is no zip archive"):
        list(read_repository(Piece(str(tmp_path / "no.zip"), "no.zip", 1)))


def test_a_damaged_member_of_a_zip_archive_spares_the_others(tmp_path: Path) -> None:
    path = tmp_path / "one.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name in ("a.py", "b.py"):
            packed.writestr(name, f"print({name!r})\n")
    path.write_bytes(path.read_bytes().replace(b"print('a.py')", b"print('?.py')"))
    first, second = (found.what for found in read_repository(Piece(str(path), path.name, 1)))
    assert (told(first), told(second)) == ("bad_zip", ("python", None))


def test_the_stage_writes_the_documents_of_a_folder(tmp_path: Path) -> None:
    source = CodeSource(kind="code", read=str(lay(tmp_path / "one") / "**/*"))
    tally = Tally()
    ingest(Unit(0, tuple(find(source.patterns))), tmp_path / "out.parquet", tally, source=source, name="code")
    tally.check("unit 0")
    assert tally.dropped["too_large"] == tally.dropped["bad_notebook"] == 1


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"LICENSE": MIT}, "MIT"),
        ({"LICENSE-MIT": MIT, "LICENSE-APACHE": b"Apache License Version 2.0"}, "(MIT OR Apache-2.0)"),
        ({"COPYING": GPL, "LICENSE": MIT}, "GPL-2.0-only AND MIT"),
        ({"COPYING": GPL, "COPYING.LESSER": b"GNU Lesser General Public License\nVersion 2.1"}, "LGPL-2.1-only"),
        ({"LICENSE": b"Ask me."}, UNKNOWN),
        ({"NOTICE": b"Copyright A."}, None),
        ({"LICENSE": MIT, "NOTICE": b"Copyright A."}, "MIT"),
    ],
)
def test_licence_files_of_a_folder_are_read_together(files: dict[str, bytes], expected: str | None) -> None:
    assert licence_of(files) == expected


def test_licence_files_are_known_by_their_names() -> None:
    assert all(
        map(is_licence, ("LICENSE", "license.md", "COPYING.txt", "LICENSE-MIT", "UNLICENSE", "Licence.rst", "NOTICE"))
    )
    assert not any(map(is_licence, ("license.py", "licenses.json", "relicense", "LICENSES.go", "copying.c")))


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("a.py", "", "python"),
        ("A.PY", "", "python"),
        ("CMakeLists.txt", "", "cmake"),
        ("Dockerfile.dev", "", "dockerfile"),
        ("config.py.example", "", "python"),
        ("configure", "", "shell"),
        ("a.h", "int f(void);\n", "c"),
        ("a.h", "class A {\npublic:\n};\n", "c++"),
        ("a.h", "#import <A.h>\n@interface A\n@end\n", "objective-c"),
        ("a.m", "@implementation A\n@end\n", "objective-c"),
        ("a.m", "function y = f(x)\n% no\nend\n", "matlab"),
        ("a.m", "(* a *)\nf[x_] := x^2\n", "mathematica"),
        ("a.pl", "use strict;\nmy $x = 1;\n", "perl"),
        ("a.pl", ":- module(a, []).\nf(X) :- g(X).\n", "prolog"),
        ("a.ts", "export const a: number = 1\n", "typescript"),
        ("a.ts", '<?xml version="1.0"?>\n<!DOCTYPE TS>', "xml"),
        ("a.v", "module a(input b);\nendmodule\n", "verilog"),
        ("a.v", "Theorem a : True.\nProof.\n", "coq"),
        ("a.r", "x <- 1\n", "r"),
        ("a.cls", "\\ProvidesClass{a}\n", "tex"),
        ("a.cls", "public class A {\n}\n", "apex"),
        ("a.inc", "<?php echo 1;\n", "php"),
        ("a.fs", "module A\nlet x = 1\n", "f#"),
        ("run", "#!/usr/bin/env -S python3.11 -u\n", "python"),
        ("run", "#!/bin/bash\n", "shell"),
        ("run", "/* -*- mode: c++ -*- */\n", "c++"),
        ("run", "words\n", None),
        (".bashrc", "", "shell"),
        ("a.unknown", "", None),
    ],
)
def test_languages_are_told_by_name_first_line_and_content(name: str, text: str, language: str | None) -> None:
    assert language_of(f"some/{name}", text) == language


def test_looking_for_the_language_of_a_hostile_file_costs_little() -> None:
    from time import process_time

    begin = process_time()
    for extension in ("h", "m", "pl", "v", "inc", "cls", "sql", "d", "sc"):
        for text in (
            "\n" * 1_000_000,
            "class " * 200_000,
            " " * 1_000_000,
            "(" * 1_000_000,
            "a\\\n" * 100_000,
            "a(" * 100_000,
        ):
            language_of(f"a.{extension}", text)
    assert process_time() - begin < 5
