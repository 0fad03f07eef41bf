"""Licence files of a repository -> the licence of what stands beside and below them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from pipeline.filters.code.notices import license_of

_NAME = re.compile(
    r"(?:(?:un)?licen[cs]e|copying|copyright|mit-licen[cs]e|notice)(?:[-._][\w.-]{0,40})?(?:\.(?:txt|md|rst|html?))?",
    re.IGNORECASE,
)
_NO_LICENCE = re.compile(r"\.(?:py|js|ts|go|rs|java|c|h|cpp|cs|rb|php|json|ya?ml|xml|sh)$", re.IGNORECASE)
_CHOICE = re.compile(r"[-._](?:mit|apache|bsd|isc|zlib|boost|unlicense|gpl|lgpl|mpl|cc0|0bsd)", re.IGNORECASE)
_LESSER = re.compile(r"\.lesser|[-._]lgpl", re.IGNORECASE)

UNKNOWN = "LicenseRef-unknown"
"""The licence of a file that is none of those we know: not permissive, but not none either."""


def is_licence(name: str) -> bool:
    """Is this the name of a file that holds a licence: LICENSE, COPYING.txt, LICENSE-MIT, UNLICENSE, NOTICE?"""
    return bool(_NAME.fullmatch(name)) and not _NO_LICENCE.search(name)


def licence_of(texts: Mapping[str, bytes]) -> str | None:
    """The licence that the files of one folder, name -> content, give together; None if there are none.

    LICENSE-MIT and LICENSE-APACHE are a choice (OR), other files hold all together (AND). A NOTICE counts only if it
    has a licence in it; the GPL beside a COPYING.LESSER is only what that one refers to.
    """
    found: dict[str, str] = {}
    for name, content in texts.items():
        licence = license_of(content.decode("utf-8", "replace"))
        if licence or not name.lower().startswith(("notice", "copyright")):
            found[name] = licence or UNKNOWN
    if any(_LESSER.search(name) for name in found):
        found = {name: licence for name, licence in found.items() if not licence.startswith("GPL-")}
    choice = list(dict.fromkeys(licence for name, licence in found.items() if _CHOICE.search(name)))
    rest = [licence for name, licence in found.items() if not _CHOICE.search(name)]
    together = list(dict.fromkeys(licence for licence in rest if licence not in choice or len(choice) < 2))
    if choice:
        together.append(f"({' OR '.join(choice)})" if len(choice) > 1 else choice[0])
    return " AND ".join(dict.fromkeys(together)) or None


class Licences:
    """The licence files of an archive, met in any order."""

    def __init__(self) -> None:
        self._texts: dict[PurePosixPath, dict[str, bytes]] = {}
        self._known: dict[PurePosixPath, str | None] = {}

    def add(self, path: PurePosixPath, content: bytes) -> None:
        """Take a licence file along."""
        self._texts.setdefault(path.parent, {})[path.name] = content

    def above(self, folder: PurePosixPath) -> str | None:
        """The licence of the nearest folder with a licence file, from this one upwards."""
        for above in (folder, *folder.parents):
            if above not in self._known:
                self._known[above] = licence_of(self._texts.get(above, {}))
            if found := self._known[above]:
                return found
        return None
