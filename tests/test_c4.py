"""C4's rules keep the lines that the published rules keep."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipeline.filters import c4
from pipeline.filters.lines import split_lines
from pipeline.filters.rules import first_failed
from pipeline.filters.sentences import count_sentences
from pipeline.filters.settings import C4
from pipeline.words import text_of

ANY = C4(min_sentences=0)


def clean(text: str, settings: C4, before: str = "Another document.") -> tuple[str, str | None, dict[str, int]]:
    """(text as it is left, reason to drop it, measures); a document stands before it in the batch."""
    lines = split_lines(*text_of(pa.array([before, text], pa.large_string())))
    cleaned = c4.clean(lines, np.ones(len(lines.starts), np.int32), settings)
    rules = c4.rules(settings)
    number = first_failed(cleaned.columns, rules, 2)[1]
    a, b = cleaned.offsets[1:]
    left = cleaned.data[a:b].tobytes().decode()
    measures = {name.removeprefix("c4."): int(values[1]) for name, values in cleaned.columns.items()}
    return left, rules[number].reason if number >= 0 else None, measures


def sentences(line: str) -> int:
    data = line.encode()
    return int(count_sentences(np.frombuffer(data, np.uint8), 0, len(data)))


@pytest.mark.parametrize("citations", [True, False])
@pytest.mark.parametrize("terminal", [True, False])
def test_the_lines_kept_are_those_that_datatrove_keeps(terminal: bool, citations: bool) -> None:
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter

    reasons = {"lorem_ipsum": "c4_lorem_ipsum", "curly_bracket": "c4_curly_bracket"}
    parts = [
        "A line of prose that ends well.", "too short", "  spaced out line here  ",
        "Please enable JavaScript now.", "We use cookies here.", "Read our Privacy Policy here.",
        "A note [12] and [edit] this [citation needed].", "It goes on and on...", 'He said "so it is"',
        "x" * 1001 + " is long here", "", "Is it so? Yes! It is.", "三個 字 詞。", "é" * 1000 + " is not long",
        "a\u2028b c d\x0be f g", "No end in sight", "[1] [2] [3] [4]", "The policy of the king.",
        "[1] A mark [2] first [", "Our cookies are [cookie] policy", "uses\u00a0cookies\u3000not",
        "\u2003wide spaces here.\u00a0", "line\r", "a b c\r",
    ]  # fmt: skip
    rare = ["Lorem ipsum dolor sit amet.", "if (x) { return y }", "He said {no}.", "lorem ipsum", "{ }"]
    both = ["javascript { lorem ipsum", "lorem ipsum and javascript { too"]
    dice = np.random.default_rng(0)
    outcomes = set()
    theirs = C4QualityFilter(filter_no_terminal_punct=terminal, min_num_sentences=-1, remove_citations=citations)
    for _ in range(400):
        lines = [parts[i] for i in dice.integers(0, len(parts), 8)]
        if dice.random() < 0.4:
            lines.insert(dice.integers(0, 8), [*rare, *both][dice.integers(0, len(rare) + len(both))])
        text = "\n".join(lines)
        document = Document(text=text, id="0")
        verdict = theirs.filter(document)
        left, reason, _ = clean(text, C4(terminal_punctuation=terminal, drop_citations=citations, min_sentences=0))
        assert reason == (None if verdict is True else reasons[verdict[1]]), text
        assert reason or left == document.text
        outcomes.add(reason)
    assert outcomes == {None, *reasons.values()}


def test_a_document_of_too_few_sentences_in_its_kept_lines_is_dropped() -> None:
    text = "One sentence is here. Two are here now.\nshort."
    assert clean(text, C4()) == (
        "One sentence is here. Two are here now.", "c4_few_sentences",
        {"lorem_ipsum": 0, "curly_brackets": 0, "sentences": 2},
    )  # fmt: skip
    text = "It is one. It is two. It is three.\nIt is four.\nIt is five."
    assert clean(text, C4())[:2] == (text, None)
    assert clean("", C4())[:2] == ("", "c4_few_sentences")


def test_lines_of_lorem_ipsum_and_of_curly_brackets_are_counted_where_they_would_be_kept() -> None:
    text = "So { it } goes on.\n{\nLorem Ipsum and { here.\nThe javascript { of it.\nWe use cookies { here."
    left, reason, measures = clean(text, ANY)
    assert (reason, measures["lorem_ipsum"], measures["curly_brackets"]) == ("c4_lorem_ipsum", 1, 3)
    assert left == "So { it } goes on.\nLorem Ipsum and { here."
    assert clean(text, C4(min_sentences=0, max_lorem_ipsum=1))[1] == "c4_curly_bracket"
    assert clean(text, C4(min_sentences=0, max_lorem_ipsum=1, max_curly_brackets=3))[1] is None


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("", 0),
        ("no end", 1),
        ("One. Two? Three! Four", 4),
        ('He said: "Go!" She went... Then nothing.', 3),
        ("Version 3.14 of e.g. this thing.", 1),
        ("これは文です。もう一つ。", 2),
        ("«Oui.» «Non.»", 2),
        ("本当に？！「はい。」と言った。。", 3),
        ("." * 200_000, 1),
        ('."' * 200_000, 1),
        ("Dots " + ". " * 3 + "." * 200_000 + " End", 5),
    ],
)
def test_sentences_end_at_terminal_punctuation_before_something_new(line: str, count: int) -> None:
    assert sentences(line) == count


def test_citation_marks_go_only_if_asked() -> None:
    text = "A claim that stands [1] here [edit]."
    assert clean(text, ANY)[0] == "A claim that stands  here ."
    assert clean(text, C4(min_sentences=0, drop_citations=False))[0] == text
    assert clean("[1] A mark begins\n[2]  [3]  [4]", ANY)[0] == "A mark begins"


def test_a_document_of_lines_without_end_is_cleaned_in_a_time_that_grows_with_its_length() -> None:
    for text in ("[1" * 10**6, "javascrip" * 10**6, "{" * 10**6, "a b c\n" * 10**6):
        assert clean(text, ANY)[1] in (None, "c4_curly_bracket")
