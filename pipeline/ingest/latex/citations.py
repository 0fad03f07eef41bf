r"""\cite and its kin -> a gap where the sentence stands without it, or what the reader saw where it does not.

"shown before \cite{x}." loses its citation, "by \citet{x} we" becomes "by Weare (2010) we" from the bibliography's
labels, or "by [3] we" where those are numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from pipeline.ingest.blocks import GAP
from pipeline.ingest.latex.words import SIGNS, with_accent

BIBITEM = re.compile(
    r"\\bibitem\s*(?:\[((?:[^\[\]{}\\]|\\(?s:.)|\{(?:[^{}\\]|\\(?s:.)|\{[^{}]*+\})*+\})*+)\])?\s*\{([^{}]*)\}"
)
NATBIB = re.compile(r"(.*?)\s*\((\d{4}[a-z]?|[^()]{0,12})\)(?s:.*)", re.DOTALL)
AUTHOR_YEAR = re.compile(r"\\citeauthoryear\s*(?:\{([^{}]*)\}\s*)?\{([^{}]*)\}\s*\{([^{}]*)\}")
ENTRY = re.compile(r"^[ \t]*@[A-Za-z]+\s*[{(]\s*([^\s,{}]+)\s*,", re.MULTILINE)
FIELDS = {
    name: re.compile(rf"\b{name}\s*=\s*([{{\"]?)", re.IGNORECASE) for name in ("author", "editor", "year", "date")
}
BRACE = re.compile(r"[{}]")
COMMAND = re.compile(r"\\([`'^~=.\"uvHcdbkr])\s*\{?(\\?[A-Za-z])\}?|\\([A-Za-z]+)[ ]?|\\(.)|[{}]|~")
TAIL = re.compile(
    r"(?:(?:^|[\s(])(?:in|by|of|from|with|see|to|on|that|than|as|at|for|and|or|following|under|is|are|e\.g\.|i\.e\.|cf\.|viz\.|"
    r"[Rr]efs?\.?|[Rr]eferences?|[Ss]ee|[Ii]n|[Bb]y|[Ff]rom|[Ff]ollowing|[Aa]s|[Tt]o)[,:]?|^)[\s~]*\Z"
)
"""What comes before a citation that the sentence needs."""

AFTER_A_GAP = re.compile(f"{GAP}[\\s~,;]*(?:and|or|&)?[\\s~]*\\Z")
LOWER = re.compile(r"\s+[a-z]{2}")
TEXTUAL = re.compile(r"(?:[Cc]itet|[Tt]extcite|newcite|shortcite|citeN|citealt|citeasnoun|onlinecite|citealias)\Z")
MOST_ENTRY = 4_000
"""Characters of a BibTeX entry in which its author and year are looked for."""

MOST_FIELD = 400
"""Characters read of a list of authors; three names are enough to know."""


class Citations:
    """The labels of one document's bibliography, read from its files when first needed."""

    def __init__(self, texts: Callable[[], Iterable[str]]) -> None:
        self._texts = texts
        self._labels: dict[str, tuple[str, str]] | None = None
        self._order: dict[str, int] = {}

    def printed(self, word: str, keys: str, before: str, after: str) -> str:
        """What stands for a citation between these two stretches of text."""
        printed = self._printed(word, keys, before, after)
        return printed[:-1] if printed.endswith(".") and after.startswith(".") else printed

    def _printed(self, word: str, keys: str, before: str, after: str) -> str:
        names = [" ".join(key.split()) for key in keys.split(",") if key.strip()]
        if not names or word in ("nocite", "bibentry"):
            return GAP if names else ""
        told = [self._label(name) for name in names]
        kind = word.rstrip("*").lower()
        if kind.startswith("citeauthor") and all(author for author, _ in told):
            return _joined([author for author, _ in told])
        if kind.startswith("citeyear"):
            return GAP if kind.endswith("par") else _joined([year for _, year in told if year])
        named = all(author for author, _ in told)
        if AFTER_A_GAP.search(before):
            return GAP
        if not (TEXTUAL.match(word) or (word == "cite" and named) or self._is_needed(before, after)):
            return GAP
        opened = before.rstrip(" ~\n")
        if opened.endswith(("(", "[")):  # the writer's own brackets
            needed = not named and TAIL.search(opened[:-1]) and opened[:-1].strip()
            return ", ".join(year for _, year in told) if needed else GAP
        if named:
            return _joined([f"{author} ({year})" if year else author for author, year in told])
        return f"[{', '.join(dict.fromkeys(year for _, year in told))}]"

    @staticmethod
    def _is_needed(before: str, after: str) -> bool:
        before = before.rstrip(" ~\n")
        if before and TAIL.search(before):
            return True
        return (not before or before[-1] in ".!?:") and bool(LOWER.match(after))

    def _label(self, key: str) -> tuple[str, str]:
        """(authors, year); ("", number) where the bibliography has numbers, or none is there."""
        if self._labels is None:
            self._labels = _labels(self._texts())
        if found := self._labels.get(key):
            return found
        return "", str(self._order.setdefault(key, len(self._order) + 1))


def _labels(texts: Iterable[str]) -> dict[str, tuple[str, str]]:
    labels: dict[str, tuple[str, str]] = {}
    entries: dict[str, tuple[str, str]] = {}
    number = 0
    for text in texts:
        for label, key in BIBITEM.findall(text):
            number += 1
            labels.setdefault(" ".join(key.split()), _told(label) or ("", str(number)))
        if not labels:
            entries |= {key: told for key, told in _entries(text) if key not in entries}
    return labels or entries


def _told(label: str) -> tuple[str, str] | None:
    """The author and year that a \\bibitem's label tells to natbib."""
    if found := AUTHOR_YEAR.search(label):
        return clean(found[1] or found[2]), clean(found[3])
    if found := NATBIB.fullmatch(clean(label)):
        return (found[1], found[2]) if found[1] else None
    return None


def _entries(text: str) -> Iterable[tuple[str, tuple[str, str]]]:
    starts = list(ENTRY.finditer(text))
    ends = [*(entry.start() for entry in starts[1:]), len(text)]
    for entry, following in zip(starts, ends[-len(starts) :], strict=False):
        end = min(following, entry.end() + MOST_ENTRY)
        fields = {name: _field(pattern, text, entry.end(), end) for name, pattern in FIELDS.items()}
        people = fields["author"] or fields["editor"]
        year = re.search(r"\d{4}", fields["year"] or fields["date"])
        if people and year:
            yield entry[1], (_surnames(people), year[0])


def _field(pattern: re.Pattern[str], text: str, start: int, end: int) -> str:
    found = pattern.search(text, start, end)
    if found is None:
        return ""
    value = text[found.end() : min(end, found.end() + MOST_FIELD)]
    if found[1] != "{":
        return clean(value.partition('"' if found[1] else ",")[0])
    depth = 0
    for brace in BRACE.finditer(value):
        depth += 1 if brace[0] == "{" else -1
        if depth < 0:
            return clean(value[: brace.start()])
    return clean(value)


def _surnames(people: str) -> str:
    names = [name.strip() for name in re.split(r"\s+and\s+", people) if name.strip()]
    last = [name.partition(",")[0] if "," in name else name.split()[-1] for name in names]
    if len(last) > 2 or (last and last[-1] == "others"):
        return f"{last[0]} et al."
    return " and ".join(last)


def clean(tex: str) -> str:
    """A few words of TeX without their commands."""

    def plain(found: re.Match[str]) -> str:
        accent, letter, word, sign = found.groups()
        if accent:
            return with_accent(letter.lstrip("\\"), accent)
        return SIGNS.get(word or sign or "", "") if found[0] != "~" else " "

    return " ".join(COMMAND.sub(plain, tex).split()) if set("\\{}~") & set(tex) else " ".join(tex.split())


def _joined(parts: list[str]) -> str:
    return GAP if not parts else parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
