"""Names of licences and languages in a recipe -> a fault for those that are typing errors.

Data sets hold names that we do not know, so a name is refused for being close to one that we know, or no name at all.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from pipeline.filters.code.licenses import PERMISSIVE, silent
from pipeline.filters.code.notices import LICENSES
from pipeline.filters.code.syntaxes import SYNTAXES
from pipeline.ingest.code.languages import LANGUAGES

CLOSE = 0.8
"""Similarity (difflib's ratio) from which a name is a typing error for another: "pyton" and "python" have 0.91."""

_LIKE_OTHERS = """
    antlers checksums clean cool groff html+ecr hxml jison javascript+erb jsoniq jsonld latex lean4 lsl luau nushell
    objectivecpp objectivej perl6 pogoscript quake rascal renderscript rhtml roc runoff scaml tlverilog toit vimscript
    visualbasic6.0 wgetconfig zenscript
"""
_OTHERS = frozenset(_LIKE_OTHERS.split())
"""Names in data sets that are close to another language's (of GitHub Linguist, or ways of writing them), folded."""

_GNU = tuple(
    f"{family}-{version}-{which}"
    for family, *versions in (
        ("GPL", "3.0", "2.0", "1.0"), ("LGPL", "3.0", "2.1", "2.0"),
        ("AGPL", "3.0", "1.0"), ("GFDL", "1.3", "1.2", "1.1"),
    )
    for version in versions
    for which in ("only", "or-later")
)  # fmt: skip
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*\+?")
_WITH = re.compile(r"\s+with\s+", re.IGNORECASE)
_VERSIONED = re.compile(r"(.+)-\d+(?:\.\d+)+(?:-only|-or-later|\+)?")


def check_languages(names: Iterable[str]) -> None:
    """Raise ValueError naming the first that looks like a typing error for a language that we know."""
    known = {_folded(name): name for name in (*LANGUAGES, *SYNTAXES)}
    for name in names:
        folded = _folded(name)
        near = () if folded in known or folded in _OTHERS else difflib.get_close_matches(folded, known, 1, CLOSE)
        if near or not folded:
            raise ValueError(f"languages: there is no language {name!r}{_meant([known[one] for one in near])}")


def check_commented(names: Iterable[str]) -> None:
    """Raise ValueError naming the first whose comments are not known."""
    for name in names:
        if name.lower() not in SYNTAXES:
            near = difflib.get_close_matches(name.lower(), SYNTAXES, 1)
            raise ValueError(f"languages: how {name!r} writes comments is not known{_meant(near)}")


def check_licenses(names: Iterable[str]) -> None:
    """Raise ValueError naming the first that is no name of one licence, or close to one of SPDX without being in it."""
    for name in names:
        plain, *exceptions = _WITH.split(name)
        if silent(plain) or not all(map(_IDENTIFIER.fullmatch, (plain, *exceptions))):
            raise ValueError(f"licenses: {name!r} is not the SPDX name of one licence{_meant(_near(name))}")
        if not _is_spdx(plain) and not _is_version(plain) and (near := _near(plain)):
            raise ValueError(f"licenses: SPDX has no {name!r}{_meant(near)}")


def _is_spdx(name: str) -> bool:
    try:
        return bool(canonicalize_license_expression(name))
    except InvalidLicenseExpression:
        return False


def _is_version(name: str) -> bool:
    """Whether it may be another version, which came after our list, of a licence that we know."""
    found = _VERSIONED.fullmatch(name.lower())
    families = {_VERSIONED.fullmatch(known.lower()) for known in _known()}
    return bool(found) and found[1] in {family[1] for family in families if family}  # type: ignore[index]


def _known() -> list[str]:
    return [*_GNU, *sorted(PERMISSIVE), *sorted(LICENSES)]


def _near(name: str) -> list[str]:
    """Up to three licences that may have been meant: GPL3 -> GPL-3.0-only, BSD -> BSD-2-Clause, ..."""
    forms: dict[str, str] = {}
    for known in _known():
        for form in (known, known.removesuffix("-only"), known.removesuffix("-only").removesuffix(".0")):
            forms.setdefault(_short(form), known)
    short = _short(name)
    begun = [form for form in forms if len(short) > 2 and form.startswith(short)]
    near = begun or difflib.get_close_matches(short, forms, 3, CLOSE)
    return list(dict.fromkeys(forms[form] for form in near))[:3]


def _short(name: str) -> str:
    """A licence's name without what people leave out: GNU GPLv3 -> gpl3."""
    return re.sub(r"licen[cs]e|version|gnu|the|v(?=\d)|[^a-z0-9]", "", re.sub(r"[ _-]v", " ", name.lower()))


def _folded(name: str) -> str:
    return re.sub(r"[ _-]", "", name.lower())


def _meant(names: list[str]) -> str:
    return f"; did you mean {' or '.join(repr(name) for name in names)}?" if names else ""
