"""Secrets in source files -> where they stand; in their place the words that StarCoder's tokenizer was taught.

A secret is a key whose issuer gave it a form of its own, a private key, the password in an address, or what is assigned
to a name such as `password` or `api_key`, if it looks random and not like a word, a path or a placeholder.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.filters.code.keywords import Keywords
from pipeline.filters.redaction import replaced
from pipeline.words import text_of

KEY, PASSWORD = "<KEY>", "<PASSWORD>"
"""What stands in a secret's place (Li et al. 2023, section 4, of StarCoder)."""

LEAST_ENTROPY = 3.0
"""Bits a character from which a password looks random: 8 different ones of 8, or 20 of hexadecimal."""

MOST_PLACES = 100_000
"""Key words in a file at most; the code we looked at has one in 1,800 bytes. At worst 15 us each."""

_BODY = re.compile(rb"(?:[^-]|-(?!----)){64,32768}-----END")
"""Of a private key; one of 16,384 bits has 12,000 characters. It never goes on over another key's first line."""

_B = rb"(?<![A-Za-z0-9_])"
_E = rb"(?![A-Za-z0-9_])"

_ISSUED: dict[str, tuple[int, bytes]] = {
    "-----begin ": (11, rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"),
    **dict.fromkeys(("akia", "asia"), (4, _B + rb"A[KS]IA[0-9A-Z]{16}" + _E)),
    "aiza": (4, _B + rb"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    "gocspx-": (7, _B + rb"GOCSPX-[0-9A-Za-z_-]{28}"),
    "accountkey=": (11, rb"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)"),
    "sharedaccesskey=": (16, rb"SharedAccessKey=(?P<secret>[A-Za-z0-9+/]{43}=)"),
    **{f"gh{kind}_": (4, _B + rb"gh[pousr]_[A-Za-z0-9]{36,255}" + _E) for kind in "pousr"},
    "github_pat_": (11, _B + rb"github_pat_[A-Za-z0-9_]{60,255}"),
    "glpat-": (6, _B + rb"glpat-[A-Za-z0-9_-]{20,64}"),
    **{f"xox{kind}-": (5, _B + rb"xox[abeoprs]-[A-Za-z0-9-]{10,250}") for kind in "abeoprs"},
    "hooks.slack.com/services/": (
        25, rb"hooks\.slack\.com/services/(?P<secret>[A-Z0-9]{8,14}/[A-Z0-9]{8,14}/[A-Za-z0-9]{20,32})"
    ),
    **{f"{kind}_live_": (8, _B + rb"[sr]k_live_[A-Za-z0-9]{16,128}" + _E) for kind in ("sk", "rk")},
    "whsec_": (6, _B + rb"whsec_[A-Za-z0-9+/]{32,64}"),
    "npm_": (4, _B + rb"npm_[A-Za-z0-9]{36}" + _E),
    "pypi-ageichlwas5vcmc": (20, _B + rb"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,250}"),
    "sg.": (3, _B + rb"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}" + _E),
    "sk-": (3, _B + rb"sk-(?:proj-|ant-|svcacct-)[A-Za-z0-9_-]{24,250}|" + _B + rb"sk-[A-Za-z0-9]{48}" + _E),
    "hf_": (3, _B + rb"hf_[A-Za-z]{34}" + _E),
    "eyj": (3, _B + rb"eyJ[A-Za-z0-9_-]{10,4000}\.eyJ[A-Za-z0-9_-]{10,8000}\.[A-Za-z0-9_-]{20,2000}"),
}  # fmt: skip
"""Keyword in lower case -> (its bytes, the form of what its issuer gives out; the group `secret` is replaced)."""

_NAMES = ("password", "passwd", "passphrase", "pwd", "secret", "token", "api_key", "apikey", "api-key", "access_key",
          "accesskey", "auth_key", "authkey", "private_key", "credential", "secretkey", "secret_key")  # fmt: skip

_ADDRESS = re.compile(rb"[^\s:/@'\"<>{}$]{1,64}:(?P<secret>[^\s:/@'\"<>{}]{3,128})@[A-Za-z0-9\[]")
"""Behind `://`: the name, the password and the host of a connection string."""

_ASSIGNED = re.compile(
    rb"[A-Za-z0-9_-]{0,32}[\"'\]]{0,2}[ \t]{0,8}(?::=|=>|[:=]|,)[ \t]{0,8}"
    rb"(?:(?P<quote>[\"'`])(?P<secret>[^\s\"'`\\]{8,400})(?P=quote)"
    rb"|(?P<bare>[A-Za-z0-9+/_-]{16,400}={0,2})[ \t]{0,8}(?=[\r\n]|\Z))"
)
"""Behind a name: what is assigned to it, in quotes, or up to the line's end as in .env and YAML."""

_EXAMPLE = re.compile(rb"EXAMPLE|x{5}|X{5}|your|YOUR")
"""What stands in the keys of manuals, which have the true form."""

_PLACEHOLDER = re.compile(
    rb"example|placeholder|change_?me|dummy|sample|your|redacted|xxx|\*\*\*|\.\.\.|password|passwd|secret|12345678|abcdef"
    rb"|[<>{}()$\[\]]|%[(s]|://|foobar|lorem|test",
    re.IGNORECASE,
)
_ADDRESS_PLACEHOLDER = re.compile(
    rb"pass(?:word|wd|phrase)?|pwd|pw|secret|token|x+|\*+|\.+|foo|bar|baz|\$.*|%.*|.*(?:example|your|redacted).*|test|root|admin|user"
    rb"|guest|postgres|mysql|port|\d{1,5}",
    re.IGNORECASE,
)

WORDS = (*_ISSUED, "://", *_NAMES)
"""Every secret stands at one of these, in any case."""
_SCHEME = len(_ISSUED)
_FORMS = [(size, re.compile(form)) for size, form in _ISSUED.values()]


class Secret(NamedTuple):
    """A secret at data[start:end] and what to put in its place."""

    document: int
    start: int
    end: int
    instead: str


def find(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> list[Secret]:
    """The secrets of the documents data[offsets[d] : offsets[d + 1]], in order, none over another."""
    return examine(data, offsets, *_keywords().find(data, offsets, MOST_PLACES))


def redacted(texts: list[str]) -> list[str]:
    """The texts with <KEY> or <PASSWORD> in the place of each secret."""
    data, offsets = text_of(pa.array(texts, pa.large_string()))
    changed = list(texts)
    for document, group in groupby(find(data, offsets), key=lambda secret: secret.document):
        instead = [(secret.start, secret.end, secret.instead.encode()) for secret in group]
        changed[document] = replaced(data, offsets[document], offsets[document + 1], instead)
    return changed


def redact(text: str) -> tuple[str, int]:
    """A text with <KEY> or <PASSWORD> in the place of each secret, and how many there were."""
    return redacted([text])[0], len(find(*text_of(pa.array([text], pa.large_string()))))


@cache
def _keywords() -> Keywords:
    return Keywords(WORDS)


def examine(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int64],
    documents: npt.NDArray[np.int64],
    words: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
) -> list[Secret]:
    """The secrets at the key words that `Keywords.find` found; `words` are numbers in `WORDS`."""
    found: list[Secret] = []
    behind = 0
    view = memoryview(data)  # type: ignore[arg-type]
    for document, word, at in zip(documents.tolist(), words.tolist(), places.tolist(), strict=True):
        if at < behind:
            continue
        secret = _at(view, word, at, int(offsets[document]), int(offsets[document + 1]))
        if secret and secret[0] >= behind:
            found.append(Secret(document, *secret))
            behind = secret[1]
    return found


def _at(data: memoryview, word: int, at: int, begin: int, end: int) -> tuple[int, int, str] | None:
    """(start, end, instead) of the secret that a keyword which ends at `at` announces."""
    if word < _SCHEME:
        size, form = _FORMS[word]
        match = form.match(data, at - size, end) if at - size >= begin else None
        if match is None:
            return None
        if b"PRIVATE KEY" in match[0]:
            return _private_key(data, match.end(), end)
        start, stop = match.span("secret") if "secret" in form.groupindex else match.span()
        return None if _EXAMPLE.search(match[0]) else (start, stop, KEY)
    if word == _SCHEME:
        match = _ADDRESS.match(data, at, end)
        if match is None or _ADDRESS_PLACEHOLDER.fullmatch(match["secret"]):
            return None
        return (*match.span("secret"), PASSWORD)
    match = _ASSIGNED.match(data, at, end)
    if match is None:
        return None
    group = "secret" if match["secret"] else "bare"
    if not _random(bytes(match[group]), bare=group == "bare"):
        return None
    return (*match.span(group), PASSWORD if "pass" in WORDS[word] or WORDS[word] == "pwd" else KEY)


def _private_key(data: memoryview, at: int, end: int) -> tuple[int, int, str] | None:
    """The body of a private key, of 64 characters at least; the lines around it stay."""
    body = _BODY.match(data, at, end)
    return (at, body.end() - len("-----END"), f"\n{KEY}\n") if body else None


def _random(value: bytes, bare: bool) -> bool:
    """Does a value look like a key and not like a word, a path, a call or a placeholder?"""
    found = [form.search(value) is not None for form in _CHARACTERS]
    digits = sum(value.count(digit) for digit in b"0123456789")
    if not any(found) or not digits or _PLACEHOLDER.search(value) or (bare and (digits < 3 or not all(found))):
        return False
    return _entropy(value) >= LEAST_ENTROPY and not _WORDY.fullmatch(value)


_CHARACTERS = (re.compile(rb"[a-z]"), re.compile(rb"[A-Z]"))
_WORDY = re.compile(rb"[A-Za-z][a-z]{2,}(?:[-_./:]?[A-Z]?[a-z]{2,}|[-_./:]?v?\d{1,4}){0,40}")
"""Words and short numbers strung together: access_token_v2, sha256Digest, com.acme.App2."""


def _entropy(value: bytes) -> float:
    """Bits a byte, by the bytes' frequencies in the value itself."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values())
