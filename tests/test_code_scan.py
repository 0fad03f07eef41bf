"""What is counted in the bytes of source files, beside what Python counts."""

from __future__ import annotations

import random
import re

import numpy as np
import pyarrow as pa
import pytest

from pipeline.filters.code.keywords import Keywords
from pipeline.filters.code.lexemes import lexemes
from pipeline.filters.code.secrets import redact
from pipeline.filters.code.shape import LONG, Shape, shape
from pipeline.filters.code.visible import visible_characters
from pipeline.words import text_of

LETTERS = "ab1_ \n\r\t(=+/\\u0x,é中\u2028\U0001f600\"'#"


def texts() -> list[str]:
    draw = random.Random(17)
    return ["", "\n", "\r\n\r", *("".join(draw.choices(LETTERS, k=draw.randrange(300))) for _ in range(300))]


def shaped(*some: str) -> Shape:
    return shape(*text_of(pa.array(some, pa.large_string())))


def test_lines_and_characters_are_those_that_python_counts() -> None:
    some = [*texts(), "x" * (LONG + 1) + "\ny"]
    found = shaped(*some)
    for n, text in enumerate(some):
        lines = re.split(r"\r\n|\r|\n", text)
        lines = lines if lines[-1] else lines[:-1]
        assert (found.characters[n], found.lines[n]) == (len(text), len(lines))
        assert found.inside[n] == sum(map(len, lines))
        assert found.longest[n] == max(map(len, lines), default=0)
        assert found.in_long[n] == sum(len(line) for line in lines if len(line) > LONG)
        assert found.letters[n] == sum(map(str.isalpha, text))
        assert found.visible[n] == sum(not character.isspace() for character in text)


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("A" * 63, 0),
        (" " + "Aa1+/=\n9" * 8 + " ", 64),
        ("0x0f, " * 7, 0),
        ("{0x0f, " + "0x0f, " * 7 + "}", 48),
        ("de ad be ef de ad be ef", 23),
        ('"' + "\\x0f" * 8 + '"', 32),
        ("\\u00e9" * 8, 48),
        ("\\u00e9" * 7, 0),
        ("deadbeef" * 7, 0),
    ],
)
def test_runs_of_encoded_data_are_found(text: str, run: int) -> None:
    found = shaped(text)
    assert (found.encoded[0], found.longest_encoded[0]) == (run, run)


@pytest.mark.parametrize(
    ("language", "text", "comments", "strings", "numbers"),
    [
        ("python", '"""Doc."""\nx = "# no" # yes\n', 10 + 4, 5, 0),
        ("python", 'x = """no"""\n', 0, 8, 0),
        ("python", "r'''doc'''", 9, 0, 0),
        ("c", "int a; /* b // */ // c\n\"/*\" 'x' 0x1F", 7 + 3, 4 + 3, 4),
        ("javascript", "`//\n//` // c", 3, 6, 0),
        ("rust", "/* a /* b */ c */ fn f<'a>() {}", 11, 0, 0),
        ("shell", "a=$# # c\n${a#b}", 2, 0, 0),
        ("haskell", "{- a {- b -} -} x -- c", 10 + 3, 0, 0),
        ("tex", "50\\% % c\n", 2, 0, 2),
        ("html", "<p>a<!-- b --></p>", 8, 0, 0),
        ("sql", "select 'a--b' -- c", 3, 6, 0),
        ("ruby", "x\n=begin\nab\n=end\ny", 12, 0, 0),
        ("common lisp", '(a ";") ; c', 2, 3, 0),
        ("c", "/* open", 6, 0, 0),
        ("c", '"open', 0, 5, 0),
    ],
)
def test_comments_strings_and_numbers_are_told_apart(
    language: str, text: str, comments: int, strings: int, numbers: int
) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    found = lexemes(data, np.array([0, len(data)]), [language])
    assert (found.comments[0], found.strings[0], found.numbers[0]) == (comments, strings, numbers)
    assert found.visible[0] == len("".join(text.split()).encode())


def test_a_language_whose_syntax_is_not_known_is_not_scanned() -> None:
    assert lexemes(np.zeros(3, np.uint8), np.array([0, 3]), [None]).comments[0] == -1


def test_key_words_are_those_that_a_search_finds() -> None:
    words = ["he", "she", "hers", "token", "ken!"]
    draw = random.Random(17)
    some = ["".join(draw.choices("hersHERStoken! ", k=80)) for _ in range(100)]
    data, offsets = text_of(pa.array(some, pa.large_string()))
    found = set(zip(*(column.tolist() for column in Keywords(words).find(data, offsets, 1000)), strict=True))
    expected = set()
    for document, text in enumerate(some):
        for word, key in enumerate(words):
            ends = [match.start() + len(key) for match in re.finditer(f"(?={key})", text.lower())]
            expected |= {(document, word, int(offsets[document]) + end) for end in ends}
    # "she" ends in "he": there only the longer one is told
    hidden = {(d, 0, end) for d, word, end in expected if word == 1}
    assert found == expected - hidden
    first = Keywords(words).find(data, offsets, 2)[0]
    assert max(np.bincount(first)) == 2
    assert set(first.tolist()) == {document for document, _, _ in found}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k = 'AKIAQWERTYUIOPASDFGH'", "k = '<KEY>'"),
        ("AKIAQWERTYUIOPASDFGHJ", None),
        ("ghp_" + "a1B2" * 9, "<KEY>"),
        ("AIza" + "Sy_-0" * 7, "<KEY>"),
        ("xoxb-123456789012-abcdefGHIJ", "<KEY>"),
        ("sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc", "<KEY>"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "<KEY>"),
        ("-----BEGIN RSA PRIVATE KEY-----\n" + "MIIabc/+\n" * 12 + "-----END RSA PRIVATE KEY-----",
         "-----BEGIN RSA PRIVATE KEY-----\n<KEY>\n-----END RSA PRIVATE KEY-----"),
        ("postgres://ann:s3cr3tPa55@db.host/x", "postgres://ann:<PASSWORD>@db.host/x"),
        ("postgres://user:password@db.host/x", None),
        ("https://host:8080/a@b", None),
        ('"password": "q8Zr2LmN0pXw"', '"password": "<PASSWORD>"'),
        ("DB_PASSWORD=q8Zr2LmN0pXwAb77\n", "DB_PASSWORD=<PASSWORD>\n"),
        ("api_key: 'a94f0c33be1277d01c5e'", "api_key: '<KEY>'"),
        ("AccountKey=" + "Ab1/" * 21 + "Ab==", "AccountKey=<KEY>"),
        ("password = 'your_password_1'", None),
        ("password = get_password(1)", None),
        ("token = 'access_token_v2'", None),
        ("secret = os.environ['APP_SECRET_1']", None),
        ("password: '${DB_PASSWORD_1}'", None),
        ("pass = 'é'; token: 'Zq8Lm2Np0Xw4é'", "pass = 'é'; token: '<KEY>'"),
    ],
)  # fmt: skip
def test_secrets_are_redacted_and_what_only_looks_alike_is_not(text: str, expected: str | None) -> None:
    assert redact(text) == (text if expected is None else expected, int(expected is not None))


@pytest.mark.parametrize(
    ("page", "seen"),
    [
        ("<p>ab</p>\n <p>c</p>", 4),
        ("a<script>var x = '<p>';</script>b", 2),
        ("<style>p {}</style><!-- c > d -->a &eacute; &amp; b", 7),
        ('<a title="x > y">z</a>', 1),
        ("1 < 2", 5),
        ("<SCRIPT>x", 0),
        ("<p", 0),
        ("é中", 2),
    ],
)
def test_what_a_reader_sees_of_a_page_is_counted(page: str, seen: int) -> None:
    data = np.frombuffer(page.encode(), np.uint8)
    assert visible_characters(data, 0, len(data)) == seen
