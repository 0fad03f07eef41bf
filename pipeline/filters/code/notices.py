"""What a text says of its licence -> an SPDX expression: licence files whole, and notices at the head of a file.

Licences are told by phrases that stand in them alone, in words without case and punctuation, so that comment marks,
line breaks and the holder's name make no difference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

HEAD = 4096
"""Characters from the start in which a file's own notice stands; GPL's notice with a long list of authors has 2,000."""

WHOLE = 40_000
"""Characters of a licence file that are read; GPL-3.0, the longest here, has 35,000."""

TITLE = 400
"""Characters within which a text of the GNU family names itself; further down others only mention it (MPL-2.0)."""

WORDS = ("licen", "permission", "redistribut", "spdx-", "gpl", "public domain")
"""In any case, one of these stands in every notice."""

_WORDY = bytes(byte if chr(byte).isascii() and chr(byte).isalnum() else 32 for byte in range(256))

_TAG = re.compile(
    r"SPDX-License-Identifier:[ \t]*"
    r"(\(?[A-Za-z0-9][\w.+-]{0,80}\)?(?:[ \t]+(?:OR|AND|WITH)[ \t]+\(?[A-Za-z0-9][\w.+-]{0,80}\)?){0,8})"
)

_PHRASES: tuple[tuple[str, str], ...] = (
    ("AGPL-1.0-only", "affero general public license version 1"),
    ("SSPL-1.0", "server side public license"),
    ("FSL-1.1", "functional source license"),
    ("JSON", "the software shall be used for good not evil"),
    ("Sleepycat", "information on how to obtain complete source code for"),
    ("OFL-1.0", "sil open font license version 1 0"),
    ("FDK-AAC", "software license for the fraunhofer fdk aac"),
    (
        "BSD-3-Clause-No-Nuclear-License",
        "not designed licensed or intended for use in the design",
    ),
    ("BUSL-1.1", "business source license 1 1"),
    ("BUSL-1.1", "business source license is a trademark of mariadb"),
    ("Elastic-2.0", "elastic license 2 0"),
    ("Elastic-2.0", "by using the software you agree to all of the terms and conditions below"),
    ("PolyForm-Noncommercial-1.0.0", "polyform noncommercial license"),
    ("Apache-1.1", "apache software license version 1 1"),
    ("Apache-2.0", "apache license version 2 0"),
    ("Apache-2.0", "apache license 2 0"),
    ("Apache-2.0", "apache 2 0 license"),
    ("Apache-2.0", "www apache org licenses license 2 0"),
    ("ECL-2.0", "educational community license version 2 0"),
    ("MPL-2.0", "mozilla public license version 2 0"),
    ("MPL-2.0", "mozilla public license v 2 0"),
    ("MPL-1.1", "mozilla public license version 1 1"),
    ("MPL-1.0", "mozilla public license version 1 0"),
    ("EPL-2.0", "eclipse public license v 2 0"),
    ("EPL-2.0", "eclipse public license 2 0"),
    ("EPL-1.0", "eclipse public license v 1 0"),
    ("EPL-1.0", "eclipse public license 1 0"),
    ("CPL-1.0", "common public license version 1 0"),
    ("CDDL-1.1", "common development and distribution license cddl version 1 1"),
    ("CDDL-1.0", "common development and distribution license"),
    ("EUPL-1.2", "european union public licence v 1 2"),
    ("EUPL-1.1", "european union public licence v 1 1"),
    ("OSL-3.0", "open software license v 3 0"),
    ("OSL-3.0", "open software license version 3 0"),
    ("AFL-3.0", "academic free license v 3 0"),
    ("AFL-3.0", "academic free license version 3 0"),
    ("MS-RL", "microsoft reciprocal license ms rl"),
    ("MS-PL", "microsoft public license ms pl"),
    ("Artistic-2.0", "the artistic license 2 0"),
    ("Artistic-2.0", "artistic license version 2 0"),
    ("Artistic-1.0", "the intent of this document is to state the conditions under which a package may be copied"),
    ("BSL-1.0", "boost software license version 1 0"),
    ("PSF-2.0", "python software foundation license version 2"),
    ("PSF-2.0", "psf license agreement"),
    ("CC-BY-NC-ND-4.0", "attribution noncommercial noderivatives 4 0 international"),
    ("CC-BY-NC-SA-4.0", "attribution noncommercial sharealike 4 0 international"),
    ("CC-BY-NC-4.0", "attribution noncommercial 4 0 international"),
    ("CC-BY-ND-4.0", "attribution noderivatives 4 0 international"),
    ("CC-BY-SA-4.0", "attribution sharealike 4 0 international"),
    ("CC-BY-4.0", "creative commons attribution 4 0 international"),
    ("CC-BY-SA-3.0", "attribution sharealike 3 0"),
    ("CC-BY-3.0", "attribution 3 0 unported"),
    ("CC0-1.0", "cc0 1 0 universal"),
    ("CC0-1.0", "creative commons legal code cc0 1 0"),
    ("OFL-1.1", "sil open font license version 1 1"),
    ("Unlicense", "this is free and unencumbered software released into the public domain"),
    ("WTFPL", "do what the fuck you want to public license"),
    ("UPL-1.0", "the universal permissive license upl version 1 0"),
    ("MulanPSL-2.0", "mulan permissive software license version 2"),
    ("NCSA", "to deal with the software without restriction"),
    ("Zlib", "altered source versions must be plainly marked as such"),
    ("PostgreSQL", "for any purpose without fee and without a written agreement is hereby granted"),
    ("LPPL-1.3c", "lppl version 1 3c"),
    ("Vim", "vim license"),
)
"""(SPDX name, words that stand in its text or in the notice that it asks for); the first that is found counts, so the
narrower stands before the wider."""

LICENSES = frozenset(name for name, _ in _PHRASES)
"""Licences told by a phrase alone."""

_MIT = "permission is hereby granted free of charge to any person obtaining a copy"
_MIT_NOTICE = (
    "permission notice shall be included",
    "permission notice including the next paragraph shall be included",
)
_BSD = "redistribution and use in source and binary forms with or without modification"
_BSD_NAMES = ("neither the name", "endorse or promote products")
_ISC = re.compile(
    r" permission to use copy modify and (?:or )?distribute this software (?:and its documentation )?for any "
)
_ISC_NOTICE = "copyright notice and this permission notice appear in all copies"

_GNU_TITLE = re.compile(r" gnu (affero |lesser |library )?general public licen[cs]e version (\d)(?: (\d) )?")
_GNU_NOTICE = re.compile(
    r" (?:under|subject to|licen[cs]ed?) (?:(?:the|either|terms|conditions|and|of|mit|bsd|or) ){0,8}(?:gnu )?"
    r"(?:(affero |lesser |library )?general public licen[cs]e|(a|l)?gpl ?(?=v?\d|licen|version| ))"
)
_GNU_VERSION = re.compile(r"(?:version |licen[cs]e |license v| v|^v|^)(\d)(?: (\d)\b)?")
_LATER = re.compile(r"or (?:at your option )?any later version|or (?:any )?later|or newer|\d \+")

_GRANTS = (
    (
        "MIT",
        re.compile(
            r" (?:under|license) (?:(?:the|terms|of) ){0,4}mit(?: style)? (?:licen[cs]e|or )"
            r"| licen[cs]e mit | mit licensed "
        ),
    ),
    (
        "BSD-3-Clause",
        re.compile(
            r" (?:under|by) (?:(?:the|a|terms|of|3 clause|new|modified) ){0,6}bsd(?: style| 3 clause)? licen[cs]e"
        ),
    ),
)
"""Licences that are named where they are not quoted."""

_DUAL = re.compile(
    r" dual(?:ly)? licen[cs]ed | either (?:of )?(?:the |license)| alternatively "
    r"| (?:mit|bsd|apache)(?: \d){0,3}(?: license)? or (?:the )?(?:\w+ )?[al]?gpl"
    r"| [al]?gpl(?: version)? ?v?\d?(?: \d)?(?: license)? or (?:the )?(?:mit|bsd|apache)"
)
"""What says that one of several licences will do."""


def words_of(text: str) -> str:
    """The words of a text in lower case, a space before, between and after them."""
    words = text.encode("ascii", "replace").lower().translate(_WORDY).split()
    return f" {b' '.join(words).decode()} "


def license_of(text: str) -> str | None:
    """The licence whose text a LICENSE or COPYING file holds; of several, all. None if it is none that is known.

    Texts of the GNU family do not say "or later" themselves, so they count as -only.
    """
    if tag := _TAG.search(text[:HEAD]):
        return _tidy(tag[1])
    words = words_of(text[:WHOLE])
    title = _GNU_TITLE.search(words)
    gnu = [f"{_gnu_name(title[1], title[2], title[3])}-only"] if title else []
    if title and title.start() < TITLE:
        return gnu[0]
    known = list(_known(words))
    return " AND ".join(known + list(_permissive(words)) + ([] if known else gnu)) or None


def notice_of(text: str, prose: bool = False) -> str | None:
    """The licence that a source file states at its own head: an SPDX tag, a grant, or a licence's own words.

    `prose` (documentation) only tags count: it may speak of licences without being under them.
    """
    head = text[:HEAD]
    if tag := _TAG.search(head):
        return _tidy(tag[1])
    if prose:
        return None
    words = words_of(head)
    found = list(dict.fromkeys(_notices(words)))
    joint = " OR " if len(found) > 1 and _DUAL.search(words) else " AND "
    return joint.join(found) or None


def _notices(words: str) -> Iterator[str]:
    for notice in _GNU_NOTICE.finditer(words) if "gpl" in words or "general public" in words else ():
        behind = words[notice.end() : notice.end() + 240]
        version = _GNU_VERSION.search(behind[:100])
        family = notice[1] or {"a": "affero ", "l": "lesser "}.get(notice[2] or "")
        yield _gnu_name(family, version[1] if version else "1", version[2] if version else None) + (
            "-or-later" if not version or _LATER.search(behind) else "-only"
        )
        break
    yield from _known(words)
    plain = list(_permissive(words))
    yield from plain
    if not plain:
        yield from (name for name, grant in _GRANTS if grant.search(words))


def _known(words: str) -> Iterator[str]:
    """The first known phrase's licence, or nothing."""
    rare = _RARE.keys() & set(words.split())
    numbers = sorted(number for word in rare for number in _RARE[word])
    return islice((_PHRASES[number][0] for number in numbers if f" {_PHRASES[number][1]} " in words), 1)


def _by_rare_word() -> dict[str, list[int]]:
    """A word of each phrase that stands in few of them -> the phrases' numbers: most need no search."""
    uses = Counter(word for _, phrase in _PHRASES for word in set(phrase.split()))
    common = Counter(dict.fromkeys(_COMMON.split(), 1000))
    found: dict[str, list[int]] = {}
    for number, (_, phrase) in enumerate(_PHRASES):
        rarest = min(phrase.split(), key=lambda word: (uses[word] + common[word], -len(word)))
        found.setdefault(rarest, []).append(number)
    return found


_COMMON = "the of to a in is and or by for with be as such that this not any all use software license licensed licence"
_COMMON += " conditions under may which without information version 1 2 0 terms agree below using you see"
_RARE = _by_rare_word()


def _permissive(words: str) -> Iterator[str]:
    """The licences that share their first sentence with others, told apart by what follows it."""
    if _MIT in words and "to deal with the software without" not in words:
        yield "MIT" if any(phrase in words for phrase in _MIT_NOTICE) else "MIT-0"
    if _BSD in words:
        if "all advertising materials mentioning" in words:
            yield "BSD-4-Clause"
        else:
            yield "BSD-3-Clause" if any(phrase in words for phrase in _BSD_NAMES) else "BSD-2-Clause"
    if _ISC.search(words) and "without a written agreement" not in words:
        yield "ISC" if _ISC_NOTICE in words else "0BSD"


def _gnu_name(family: str | None, major: str, minor: str | None) -> str:
    letters = {"affero": "AGPL", "lesser": "LGPL", "library": "LGPL"}.get((family or "").strip(), "GPL")
    if letters == "LGPL" and major == "1":
        major = "2"
    return f"{letters}-{major}.{minor or '0'}"


def _tidy(expression: str) -> str:
    """An expression with the brackets that its line cut off closed or left out."""
    if expression.count("(") == expression.count(")"):
        return expression
    return expression.replace("(", "").replace(")", "")
