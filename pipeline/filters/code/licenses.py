"""SPDX licence expressions: which licences are permissive, and may a file be used under those that are asked for?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache

_BLUE_OAK = """
    BlueOak-1.0.0 BSD-2-Clause-Patent ADSL Apache-2.0 APAFML BSD-1-Clause BSD-2-Clause BSD-2-Clause-FreeBSD
    BSD-2-Clause-NetBSD BSD-2-Clause-Views BSL-1.0 DSDP ECL-1.0 ECL-2.0 ImageMagick ISC Linux-OpenIB MIT
    MIT-Modern-Variant MS-PL MulanPSL-1.0 Mup PostgreSQL Spencer-99 UPL-1.0 Xerox 0BSD AFL-1.1 AFL-1.2 AFL-2.0
    AFL-2.1 AFL-3.0 AMDPLPA AML AMPAS ANTLR-PD ANTLR-PD-fallback Apache-1.0 Apache-1.1 Artistic-2.0 Bahyph Barr
    BSD-3-Clause BSD-3-Clause-Attribution BSD-3-Clause-Clear BSD-3-Clause-LBNL BSD-3-Clause-Modification
    BSD-3-Clause-No-Nuclear-License-2014 BSD-3-Clause-No-Nuclear-Warranty BSD-3-Clause-Open-MPI BSD-4-Clause
    BSD-4-Clause-Shortened BSD-4-Clause-UC BSD-Source-Code bzip2-1.0.5 bzip2-1.0.6 CC0-1.0 CNRI-Jython
    CNRI-Python CNRI-Python-GPL-Compatible Cube curl eGenix Entessa FTL HTMLTIDY IBM-pibs ICU Info-ZIP Intel
    JasPer-2.0 Libpng libpng-2.0 libtiff LPPL-1.3c MIT-0 MIT-advertising MIT-CMU MIT-enna MIT-feh MIT-open-group
    MITNFA MTLL MulanPSL-2.0 Multics Naumen NCSA Net-SNMP NetCDF NICTA-1.0 NIST-PD-fallback NIST-Software NTP
    NTP-0 O-UDA-1.0 OLDAP-2.0 OLDAP-2.0.1 OLDAP-2.1 OLDAP-2.2 OLDAP-2.2.1 OLDAP-2.2.2 OLDAP-2.3 OLDAP-2.4
    OLDAP-2.5 OLDAP-2.6 OLDAP-2.7 OLDAP-2.8 OML OpenSSL PHP-3.0 PHP-3.01 Plexus PSF-2.0 Python-2.0 Ruby Saxpath
    SGI-B-2.0 SMLNJ SWL TCL TCP-wrappers Unicode-DFS-2015 Unicode-DFS-2016 Unlicense VSL-1.0 W3C X11 XFree86-1.1
    Xnet xpp Zlib zlib-acknowledgement ZPL-2.0 ZPL-2.1 AAL Adobe-2006 Afmparse Artistic-1.0 Artistic-1.0-cl8
    Artistic-1.0-Perl Beerware blessing Borceux CECILL-B ClArtistic Condor-1.1 Crossword CrystalStacker diffmark
    DOC EFL-1.0 EFL-2.0 Fair FSFUL FSFULLR Giftware HPND IJG Leptonica LPL-1.0 LPL-1.02 MirOS mpich2 NASA-1.3
    NBPL-1.0 Newsletr NLPL NRL OGTSL OLDAP-1.1 OLDAP-1.2 OLDAP-1.3 OLDAP-1.4 psfrag psutils Qhull Rdisc RSA-MD
    Spencer-86 Spencer-94 TU-Berlin-1.0 TU-Berlin-2.0 Vim W3C-19980720 W3C-20150513 Wsuipa WTFPL xinetd Zed
    Zend-2.0 ZPL-1.1
"""
PERMISSIVE = frozenset(_BLUE_OAK.split())
"""SPDX identifiers of the Blue Oak Council's Permissive License List (its grades model to lead), by which The Stack
chose its files (Kocetkov et al. 2022, section 3.1; Lozhkov et al. 2024, section 2.1)."""

Asked = str | tuple[str, ...]
"""`permissive`, `any`, or the SPDX names to keep."""

LONGEST = 2000
"""Characters of an expression at most; a longer one is no licence's name."""

_TOKEN = re.compile(r"[()]|[^\s()\[\],;|/'\"]+|[,;|/]")
_SILENT = {"none", "noassertion", "no_license", "null", "other", "unknown"}
_RANK = {"or": 1, "and": 2}
_GNU = re.compile(r"([al]?gpl|gfdl)-(\d)(\.\d)?(\+|-only|-or-later)?")
_WITH = re.compile(r"\s+with\s+")
_GNU_VERSIONS = ("1.0", "1.1", "1.2", "1.3", "2.0", "2.1", "3.0")


def accepted(told: str, asked: Asked) -> bool:
    """May a file be used whose licence is the expression `told`?

    Of `A OR B` (and Cargo's old `A/B`) one must do, of `A AND B` both, and of a list "A, B" every one, as in The
    Stack. `A WITH exception` does if `A` does, since an exception only adds permissions, or if it is asked for by
    its whole name. `GPL-2.0-or-later` does where a later one is asked for. Deprecated names (GPL-2.0, GPL-2.0+)
    count as those that replaced them; case does not count. What is no expression is not accepted.
    """
    return asked == "any" or _accepted(told, asked)


@lru_cache(maxsize=4096)
def silent(told: str | None) -> bool:
    """Does a column tell no licence at all: empty, "[]", "NOASSERTION", ...?"""
    return not told or all(token.lower() in _SILENT or token in "(),;|/" for token in _TOKEN.findall(told[:LONGEST]))


def threshold(asked: Asked) -> str:
    """What was asked for, in words."""
    return asked if isinstance(asked, str) else ", ".join(asked)


@lru_cache(maxsize=4096)
def _accepted(told: str, asked: Asked) -> bool:
    wanted = _wanted(asked)
    values: list[bool] = []
    pending: list[str] = []

    def settle(least: int) -> None:
        while pending and pending[-1] != "(" and _RANK[pending[-1]] >= least:
            joint, second, first = pending.pop(), values.pop(), values.pop()
            values.append(first or second if joint == "or" else first and second)

    try:
        for token in _joined(told):
            if token == "(":
                pending.append(token)
            elif token == ")":
                settle(0)
                pending.pop()
            elif token in _RANK:
                settle(_RANK[token])
                pending.append(token)
            else:
                values.append(_does(token, wanted))
        settle(0)
    except IndexError:  # an operator without its names, or a bracket without its partner
        return False
    return values == [True] and not pending


def _joined(told: str) -> Iterator[str]:
    """The tokens of an expression in lower case, `a~with~b` as one; names side by side are joined by `and`."""
    told = _WITH.sub("~with~", told.lower()) if len(told) <= LONGEST else ""
    before = "("
    for token in _TOKEN.findall(told):
        if token in _SILENT or token in ",;|":
            continue
        token = "or" if token == "/" else token
        if token not in (")", "and", "or") and before not in ("(", "and", "or"):
            yield "and"
        yield token
        before = token


def _does(name: str, wanted: frozenset[str]) -> bool:
    plain, joint, exception = name.partition("~with~")
    today = _today(plain)
    return today in wanted or f"{today}{joint}{exception}" in wanted or plain.removesuffix("+") in wanted


@cache
def _wanted(asked: Asked) -> frozenset[str]:
    """The names that do, in lower case, with those that let a file be used under one of them."""
    asked_for = PERMISSIVE if asked == "permissive" else asked
    parts = [_WITH.sub("~with~", name.lower()).partition("~with~") for name in asked_for]
    names = {f"{_today(plain)}{joint}{exception}" for plain, joint, exception in parts}
    for name in tuple(names):
        if found := _GNU.fullmatch(name):
            family, version = found[1], f"{found[2]}{found[3]}"
            names |= {f"{family}-{earlier}-or-later" for earlier in _GNU_VERSIONS if earlier <= version}
    return frozenset(names)


def _today(name: str) -> str:
    """A name of the GNU family as SPDX writes it since version 3: gpl-2.0 -> gpl-2.0-only."""
    if not (found := _GNU.fullmatch(name)):
        return name
    return f"{found[1]}-{found[2]}{found[3] or '.0'}-{'or-later' if found[4] in ('+', '-or-later') else 'only'}"
