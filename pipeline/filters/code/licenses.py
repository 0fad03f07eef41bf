"""Licences of source files: which are permissive, and does a file come under one that is asked for?"""

from __future__ import annotations

import re
from functools import cache

from pipeline.filters.verdict import Failed

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

_BETWEEN = re.compile(r"[,;|()\[\]'\"]|\s+(?:and|or)\s+|\s+", re.IGNORECASE)
_NONE = {"", "none", "noassertion", "no_license", "null", "other", "unknown"}


def unlicensed(told: str | None, asked: str | tuple[str, ...]) -> Failed | None:
    """Does a file come under the licences asked for: `permissive`, `any`, or SPDX names in any case?

    Of several licences every one must do, as The Stack has it; so of "MIT OR GPL-2.0-only", too.
    """
    if asked == "any":
        return None
    names = spdx(told)
    if not names:
        return Failed("no_license", told or "none", threshold(asked))
    wanted = _wanted(asked)
    refused = [name for name in names if name.lower() not in wanted]
    return Failed("license", ", ".join(refused), threshold(asked)) if refused else None


def spdx(told: str | None) -> list[str]:
    """The licences that a column names: "MIT, Apache-2.0", "MIT OR ISC", "['MIT']"; nothing for "NOASSERTION"."""
    names = _BETWEEN.split(told or "")
    return [name for name in names if name.lower() not in _NONE]


def threshold(asked: str | tuple[str, ...]) -> str:
    return asked if isinstance(asked, str) else ", ".join(asked)


@cache
def _wanted(asked: str | tuple[str, ...]) -> frozenset[str]:
    return frozenset(name.lower() for name in (PERMISSIVE if asked == "permissive" else asked))
