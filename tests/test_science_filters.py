"""Papers are kept by peS2o's rules."""

from __future__ import annotations

import pytest

from pipeline.filters.science import published, unfit_paper
from pipeline.filters.settings import ScienceFilters
from pipeline.filters.verdict import Failed


def paper(words: int = 600, paragraphs: int = 6, most: str = "the", times: int = 30) -> str:
    """So many words in so many paragraphs, one of them so many times."""
    text = [most] * times + [f"word{n}" for n in range(words - times)]
    step = words // paragraphs
    return "\n\n".join(" ".join(text[n * step : (n + 1) * step]) for n in range(paragraphs))


def judge(text: str, date: str | None = None, **rules: int) -> Failed | None:
    return unfit_paper(text, date, ScienceFilters(**rules))  # type: ignore[arg-type]


def test_a_paper_passes() -> None:
    assert judge(paper(), "2004-05-11") is None
    assert judge(paper()) is None


def test_each_rule_has_its_reason_and_measure() -> None:
    assert judge(paper(), "1969") == ("pes2o_year", 1969, 1970)
    assert judge(paper(498)) == ("pes2o_few_words", 498, 500)
    assert judge(paper(paragraphs=4)) == ("pes2o_few_paragraphs", 4, 5)
    assert judge(paper(most="[1]")) == ("pes2o_frequent_word", "[1]", "letters only")
    assert judge(paper(times=45)) == ("pes2o_frequent_word", 0.075, 0.075)
    assert judge("") == ("pes2o_few_words", 0, 500)


def test_paragraphs_are_parted_by_empty_lines_and_empty_ones_do_not_count() -> None:
    assert judge(paper(paragraphs=5).replace("\n\n", "\n \n\n\n")) is None
    assert judge(paper(paragraphs=5).replace("\n\n", "\n")) == ("pes2o_few_paragraphs", 1, 5)


def test_abstracts_are_asked_for_broken_words_and_not_for_how_often_a_word_comes() -> None:
    abstract = paper(words=100, paragraphs=1, times=20)
    assert judge(abstract, min_words=50, min_paragraphs=1) is None
    broken = abstract + " t h e, w o r d s, a r e, b r o, k e n,"
    assert judge(broken, min_words=50, min_paragraphs=1) == ("pes2o_spaced_words", 5, 4)
    assert judge(broken, min_words=50, min_paragraphs=1, max_spaced_words=5) is None
    assert judge(paper() + " t h e, w o r d s, a r e, b r o, k e n,") is None


def test_nothing_is_asked_where_everything_is_off() -> None:
    assert judge("", min_words=0, min_paragraphs=0) is None


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("2004", 2004),
        ("2004-05-11", 2004),
        ("11 May 1999", 1999),
        ("1965/1", 1965),
        (None, None),
        ("", None),
        ("n.d.", None),
    ],
)
def test_a_year_is_found_in_a_date_of_any_form(date: str | None, year: int | None) -> None:
    assert published(date) == year
