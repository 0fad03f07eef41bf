"""Code in the columns of The Stack and of StarCoder data, and notebooks."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.documents import Document, Dropped
from pipeline.ingest.code.notebooks import BadNotebookError, notebook_text
from pipeline.ingest.code.rows import is_table, read_code
from pipeline.ingest.reading import UnreadableFile
from pipeline.units import Piece


def read(path: Path) -> list[Document | Dropped]:
    return [what for _, what in read_code(Piece(str(path), path.name, path.stat().st_size))]


def table(tmp_path: Path, **columns: Any) -> list[Document | Dropped]:
    pq.write_table(pa.table({name: [value] for name, value in columns.items()}), tmp_path / "a.parquet")
    return read(tmp_path / "a.parquet")


def starcoder(tmp_path: Path, *rows: dict[str, Any]) -> list[Document | Dropped]:
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(content))
    return read(tmp_path / "a.jsonl.zst")


def test_the_columns_of_the_stack_v2_are_read(tmp_path: Path) -> None:
    (found,) = table(
        tmp_path,
        content="x = 1\n",
        path="/a/b.py",
        repo_name="o/r",
        extension="py",
        language="Python",
        detected_licenses=["MIT", "Apache-2.0"],
        license_type="permissive",
        is_vendor=True,
        is_generated=False,
        star_events_count=3,
        revision_date=datetime(2026, 1, 2, 3, 4, 5),
        blob_id="ff",
    )
    assert found == Document(
        at="0",
        text="x = 1\n",
        language="python",
        license="MIT, Apache-2.0",
        date="2026-01-02T03:04:05",
        metadata={
            "path": "/a/b.py",
            "repo": "o/r",
            "extension": "py",
            "stars": 3,
            "is_vendor": True,
            "is_generated": False,
            "license_type": "permissive",
        },
    )


def test_the_columns_of_the_stack_v1_are_read(tmp_path: Path) -> None:
    (found,) = table(
        tmp_path,
        content="int x;",
        lang="C",
        ext="c",
        max_stars_repo_path="x.c",
        max_stars_repo_name="o/r",
        max_stars_repo_licenses=["BSD-3-Clause"],
        max_stars_count=None,
    )
    assert isinstance(found, Document)
    assert (found.language, found.license, found.text) == ("c", "BSD-3-Clause", "int x;")
    assert found.metadata == {"path": "x.c", "repo": "o/r", "extension": "c"}


def test_the_columns_of_starcoder_data_are_read_and_bad_rows_counted(tmp_path: Path) -> None:
    row = {"content": "y", "lang": "Ruby", "licenses": [], "max_stars_repo_path": "\ud800", "max_stars_count": 1 << 70}
    found = starcoder(tmp_path, row, {"content": 5}, {"lang": "c"}, {"content": ""})
    assert isinstance(found[0], Document)
    assert (found[0].language, found[0].license) == ("ruby", None)
    assert found[0].metadata == {"path": "\ufffd", "stars": str(1 << 70)}
    assert [what.reason for what in found[1:] if isinstance(what, Dropped)] == ["bad_row", "bad_row", "empty_text"]


def test_a_table_without_contents_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="has no column content"):
        table(tmp_path, blob_id="ff", path="a.py")


IMAGE = {"image/png": "iVBORw0KGgo" * 20}
CELLS = [
    {"cell_type": "markdown", "source": ["# Head\n", "Words ![plot](attachment:a.png) here"]},
    {"cell_type": "code", "source": ["x = 1\n", "x\n"], "outputs": [{"data": IMAGE, "text": ["OUTPUT"]}]},
    {"cell_type": "code", "source": []},
    {"cell_type": "raw", "source": "raw text"},
    {"cell_type": "markdown", "source": f'<img src="data:image/png;base64,{"A" * 500}"> end'},
]
NOTEBOOK = {"cells": CELLS, "metadata": {"kernelspec": {"language": "julia"}}, "nbformat": 4}
TEXT = "# Head\nWords plot here\n\n```julia\nx = 1\nx\n```\n\nraw text\n\n end"


def test_a_notebook_becomes_its_cells_without_outputs_and_images() -> None:
    assert notebook_text(json.dumps(NOTEBOOK)) == TEXT


def test_a_notebook_of_the_third_format_is_read() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Head"},
        {"cell_type": "code", "input": ["x"], "language": "python"},
    ]
    assert (
        notebook_text(json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3})) == "## Head\n\n```python\nx\n```"
    )


@pytest.mark.parametrize("content", ["", "x = 1", "[1]", "{}", '{"cells": 5}', '{"worksheets": 3}', "[" * 99_999])
def test_what_is_no_notebook_is_an_error(content: str) -> None:
    with pytest.raises(BadNotebookError):
        notebook_text(content)


def test_notebooks_are_told_by_their_path_and_without_one_by_their_language(tmp_path: Path) -> None:
    content = json.dumps(NOTEBOOK)
    found = starcoder(
        tmp_path,
        {"content": content, "max_stars_repo_path": "a/b.ipynb", "lang": "jupyter"},
        {"content": content, "lang": "Jupyter Notebook"},
        {"content": "import os", "max_stars_repo_path": "setup.py", "lang": "jupyter"},
        {"content": '{"a": 1}', "max_stars_repo_path": "a.json", "lang": "JSON"},
        {"content": "broken", "max_stars_repo_path": "b.ipynb"},
        {"content": '{"cells": []}', "max_stars_repo_path": "c.ipynb"},
    )
    assert [what.text if isinstance(what, Document) else what.reason for what in found] == [
        TEXT, TEXT, "import os", '{"a": 1}', "bad_notebook", "empty_text",
    ]  # fmt: skip


def test_a_language_that_a_table_does_not_tell_is_found(tmp_path: Path) -> None:
    found = starcoder(tmp_path, {"content": "x", "path": "a/b.rs"}, {"content": "#!/bin/sh\n"}, {"content": "y"})
    assert [what.language for what in found if isinstance(what, Document)] == ["rust", "shell", None]


def test_json_files_of_a_repository_are_told_from_tables_of_code(tmp_path: Path) -> None:
    files = {
        "a.json": '{\n  "name": "x"\n}',
        "b.jsonl": '{"text": "x"}\n',
        "c.jsonl": 'broken\n{"content": "x"}\n',
        "d.jsonl.gz": "no gzip",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert [is_table(tmp_path / name) for name in files] == [False, False, True, False]


def test_a_row_of_very_many_levels_is_dropped_alone(tmp_path: Path) -> None:
    deep = "[" * 900 + "]" * 900
    path = tmp_path / "a.jsonl"
    for content in (f'{{"content": "x", "license_type": {deep}}}', f'{{"content": "x", "language": {deep}}}'):
        path.write_text(f'{{"content": "good"}}\n{content}\n{{"content": "good"}}\n')
        assert [getattr(what, "reason", "good") for what in read(path)] == ["good", "bad_json", "good"]
    with pytest.raises(BadNotebookError, match="more than 100 levels"):
        notebook_text(f'{{"cells": [{{"source": {deep}}}]}}')


@pytest.mark.parametrize("between", ["", "\n", "\n  "])
def test_an_array_of_rows_of_code_is_a_table(tmp_path: Path, between: str) -> None:
    rows = [json.dumps({"content": f"x = {n}"}, indent=1 if between else None) for n in range(30)]
    path = tmp_path / "a.json"
    path.write_text(f"[{between}{f',{between}'.join(rows)}{between}]")
    assert is_table(path)
    found = list(read_code(Piece(str(path), path.name, path.stat().st_size)))
    assert [what.text for _, what in found if isinstance(what, Document)] == [f"x = {n}" for n in range(30)]
    path.write_text(f"[{between}1, 2{between}]")
    assert not is_table(path)
