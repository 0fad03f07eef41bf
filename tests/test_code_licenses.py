"""Licences: SPDX expressions are understood, and licence texts and notices recognised."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import orjson
import pytest

from pipeline.filters.code.licenses import PERMISSIVE, accepted, silent
from pipeline.filters.code.notices import license_of, notice_of

MIT = """Copyright (c) 2026 A. Uthor

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software ... The above copyright notice and this permission notice shall be included in all copies."""
BSD = """Redistribution and use in source and binary forms, with or without
modification, are permitted provided that ..."""


@pytest.mark.parametrize(
    ("told", "asked", "expected"),
    [
        ("MIT", "permissive", True),
        ("mit, Apache-2.0", "permissive", True),
        ("['MIT', 'GPL-3.0-only']", "permissive", False),
        ("MIT, GPL-3.0-only", "permissive", False),
        ("MIT; ISC", "permissive", True),
        ("MIT OR GPL-2.0-only", "permissive", True),
        ("MIT/GPL-2.0", "permissive", True),
        ("MIT AND GPL-2.0-only", "permissive", False),
        ("GPL-2.0-only OR MIT AND BSD-3-Clause", "permissive", True),
        ("(GPL-2.0-only OR MIT) AND MPL-2.0", "permissive", False),
        ("Apache-2.0 WITH LLVM-exception", "permissive", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "permissive", False),
        ("GPL-2.0 WITH Classpath-exception-2.0", ("GPL-2.0-only WITH Classpath-exception-2.0",), True),
        ("GPL-2.0-only", ("GPL-2.0-only WITH Classpath-exception-2.0",), False),
        ("GPL-3.0", ("GPL-3.0-only",), True),
        ("GPL-2.0+", ("GPL-3.0-only",), True),
        ("LGPL-2.0+", ("GPL-3.0-only",), False),
        ("GPL-3.0-or-later", ("GPL-2.0-only",), False),
        ("GPL-2.0-only", ("GPL-3.0-only",), False),
        ("ISC", ("MIT", "BSD-3-Clause"), False),
        ("made up", "any", True),
        ("(MIT", "permissive", False),
        ("MIT)", "permissive", False),
        ("MIT OR", "permissive", False),
        ("OR", "permissive", False),
        ("(" * 1990 + "MIT", "permissive", False),
        ("MIT " * 1000, "permissive", False),
    ],
)
def test_expressions_are_understood(told: str, asked: str | tuple[str, ...], expected: bool) -> None:
    assert accepted(told, asked) is expected


def test_columns_that_tell_nothing_are_silent() -> None:
    assert all(silent(told) for told in (None, "", "[]", "NOASSERTION", "none, null", "  "))
    assert not silent("MIT, NOASSERTION")


def test_the_permissive_list_holds_no_copyleft() -> None:
    assert {"MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "Unlicense", "CC0-1.0"} <= PERMISSIVE
    copyleft = ("GPL", "LGPL", "AGPL", "MPL", "EPL", "CDDL", "EUPL", "CC-BY", "OSL", "MS-RL", "CECILL-2", "SSPL")
    assert not [name for name in PERMISSIVE if name.startswith(copyleft)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MIT, "MIT"),
        ("\n".join(f" * {line}" for line in MIT.split("\n")), "MIT"),
        (MIT.replace("permission notice shall be included", ""), "MIT-0"),
        (BSD, "BSD-2-Clause"),
        (BSD + " Neither the name of the holder ...", "BSD-3-Clause"),
        (BSD + " All advertising materials mentioning features ...", "BSD-4-Clause"),
        ("Apache License\n   Version 2.0, January 2004", "Apache-2.0"),
        ("GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n", "GPL-3.0-only"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 2.1, February 1999", "LGPL-2.1-only"),
        ("GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3, 19 November 2007", "AGPL-3.0-only"),
        ("Mozilla Public License Version 2.0\n" + "x " * 300 + "GNU General Public License, Version 2.0", "MPL-2.0"),
        (MIT + BSD, "MIT AND BSD-2-Clause"),
        (MIT + "\n" + "x " * 300 + "GNU GENERAL PUBLIC LICENSE Version 2", "MIT AND GPL-2.0-only"),
        ("All rights reserved.", None),
        ("", None),
    ],
)
def test_licence_files_are_recognised(text: str, expected: str | None) -> None:
    assert license_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("// SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note\n", "GPL-2.0 WITH Linux-syscall-note"),
        ("/* SPDX-License-Identifier: (MIT OR Apache-2.0) */", "(MIT OR Apache-2.0)"),
        ("# This program is free software: you can redistribute it under the terms of\n"
         "# the GNU General Public License as published by the FSF, either version 3 of the License, or\n"
         "# (at your option) any later version.",
         "GPL-3.0-or-later"),
        ("// Licensed under the GNU Lesser General Public License version 2.1 only", "LGPL-2.1-only"),
        ("# License: GPLv2", "GPL-2.0-only"),
        ("/* Dual licensed under the MIT or GPL Version 2 licenses. The MIT license */", None),
        ('// Licensed under the Apache License, Version 2.0 (the "License")', "Apache-2.0"),
        ("// Use of this source code is governed by a BSD-style license that can be found in LICENSE", "BSD-3-Clause"),
        ("# This file parses GPL and LGPL texts.", None),
        ("x = 1\n" * 1000 + "# License: GPLv2", None),
    ],
)  # fmt: skip
def test_notices_are_recognised(text: str, expected: str | None) -> None:
    found = notice_of(text)
    if "Dual" in text:
        assert found is not None
        assert accepted(found, "permissive")
        assert "GPL-2.0" in found
    else:
        assert found == expected


def test_prose_is_believed_its_tags_alone() -> None:
    assert notice_of("Our plugin is licensed under the GNU General Public License v3", prose=True) is None
    assert notice_of("<!-- SPDX-License-Identifier: CC-BY-4.0 -->", prose=True) == "CC-BY-4.0"


@pytest.mark.skipif("BERTMILL_CORPUS" not in os.environ, reason="needs the corpus")
def test_the_licence_files_of_repositories_are_recognised() -> None:
    path = Path(os.environ["BERTMILL_CORPUS"]) / "dups" / "docs.jsonl.gz"
    with gzip.open(path) as file:
        rows = [orjson.loads(line) for line in file]
    found = [license_of(row["text"]) for row in rows if row["group"] == "repo-licences"]
    assert sum(licence is not None for licence in found) >= 0.95 * len(found)
