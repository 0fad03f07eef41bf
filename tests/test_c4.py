"""C4's rules keep the lines that the published rules keep."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.filters.c4 import clean, count_sentences
from pipeline.filters.settings import C4

ANY = C4(min_sentences=0)


def test_the_lines_kept_are_those_that_datatrove_keeps() -> None:
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter

    reasons = {"lorem_ipsum": "c4_lorem_ipsum", "curly_bracket": "c4_curly_bracket"}
    parts = [
        "A line of prose that ends well.", "too short", "  spaced out line here  ", "Please enable JavaScript now.",
        "We use cookies here.", "Read our Privacy Policy here.", "A note [12] and [edit] this [citation needed].",
        "It goes on and on...", 'He said "so it is"', "x" * 1001 + " is long here", "", "Is it so? Yes! It is.",
        "三個 字 詞。",
        "a\u2028b c d\x0be f g", "No end in sight", "[1] [2] [3] [4]", "The policy of the king.",
    ]  # fmt: skip
    rare = ["Lorem ipsum dolor sit amet.", "if (x) { return y }", "lorem ipsum", "{ }", "javascript { lorem ipsum"]
    dice = np.random.default_rng(0)
    outcomes = set()
    for terminal in (True, False):
        theirs = C4QualityFilter(filter_no_terminal_punct=terminal, min_num_sentences=-1)
        for _ in range(400):
            lines = [parts[i] for i in dice.integers(0, len(parts), 8)]
            if dice.random() < 0.4:
                lines.insert(dice.integers(0, 8), rare[dice.integers(0, len(rare))])
            text = "\n".join(lines)
            document = Document(text=text, id="0")
            verdict = theirs.filter(document)
            ours = clean(text, C4(terminal_punctuation=terminal, min_sentences=0))
            expected = document.text if verdict is True else (reasons[verdict[1]], None, None)
            assert ours == expected
            outcomes.add(verdict if verdict is True else verdict[1])
    assert outcomes == {True, *reasons}


def test_a_document_of_too_few_sentences_in_its_kept_lines_is_dropped() -> None:
    assert clean("One sentence is here. Two are here now.\nshort.", C4()) == ("c4_few_sentences", 2, 5)
    assert clean("It is one. It is two. It is three.\nIt is four.\nIt is five.", C4()) == (
        "It is one. It is two. It is three.\nIt is four.\nIt is five."
    )
    assert clean("", C4()) == ("c4_few_sentences", 0, 5)


@pytest.mark.parametrize(
    ("line", "sentences"),
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
        ("Dots " + ". " * 3 + "." * 200_000 + " End", 5),
    ],
)
def test_sentences_end_at_terminal_punctuation_before_something_new(line: str, sentences: int) -> None:
    assert count_sentences(line) == sentences


def test_citation_marks_go_only_if_asked() -> None:
    text = "A claim that stands [1] here [edit]."
    assert clean(text, ANY) == "A claim that stands  here ."
    assert clean(text, C4(min_sentences=0, drop_citations=False)) == text
