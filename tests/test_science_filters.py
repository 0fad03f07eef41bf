"""Papers are kept by peS2o's rules."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.filters.rules import first_failed
from pipeline.filters.science import measure, rules
from pipeline.filters.settings import ScienceFilters


def paper(words: int = 600, paragraphs: int = 6, most: str = "the", times: int = 30) -> str:
    """So many words in so many paragraphs, one of them so many times."""
    text = [most] * times + [f"word{n}" for n in range(words - times)]
    step = words // paragraphs
    return "\n\n".join(" ".join(text[n * step : (n + 1) * step]) for n in range(paragraphs))


def batch(*texts: str, date: str | None = None, title: str | None = "T", metadata: str | None = None) -> pa.RecordBatch:
    n = len(texts)
    return pa.record_batch(
        {
            "text": pa.array(texts, pa.large_string()),
            "date": pa.array([date] * n, pa.string()),
            "title": pa.array([title] * n, pa.string()),
            "metadata": pa.array([metadata] * n, pa.string()),
        }
    )


def judge(text: str, settings: dict[str, Any] | None = None, **about: Any) -> tuple[str, Any, Any] | None:
    """(reason, value, threshold) of the first rule that a text fails."""
    filters = ScienceFilters(**(settings or {}))
    columns, asked = measure(batch(text, **about), filters), rules(filters)
    (failed,) = first_failed(columns, asked, 1)
    rule = asked[failed]
    return None if failed < 0 else (rule.reason, columns[rule.column][0], rule.threshold)


ABSTRACT = '{"pmid":"1","part":"abstract"}'


def test_a_paper_passes() -> None:
    assert judge(paper(), date="2004-05-11") is None
    assert judge(paper()) is None


def test_each_rule_has_its_reason_and_measure() -> None:
    assert judge(paper(), date="1969") == ("pes2o_year", 1969, 1970)
    assert judge(paper(498)) == ("pes2o_few_words", 498, 500)
    assert judge(paper(paragraphs=4)) == ("pes2o_few_paragraphs", 4, 5)
    assert judge(paper(most="[1]")) == ("pes2o_frequent_word", "[1]", "letters only")
    assert judge(paper(times=45)) == ("pes2o_frequent_word", 0.075, 0.075)
    assert judge(paper(times=44)) is None
    assert judge("") == ("pes2o_few_words", 0, 500)


def test_paragraphs_are_parted_by_empty_lines_and_empty_ones_do_not_count() -> None:
    assert judge(paper(paragraphs=5).replace("\n\n", "\n \n\n\n")) is None
    assert judge(paper(paragraphs=5).replace("\n\n", "\n")) == ("pes2o_few_paragraphs", 1, 5)


def test_short_papers_are_asked_for_broken_words_and_not_for_how_often_a_word_comes() -> None:
    loose = {"min_words": 50, "min_paragraphs": 1}
    short = paper(words=100, paragraphs=1, times=20)
    assert judge(short, loose) is None
    broken = short + " t h e, w o r d s, a r e, b r o, k e n,"
    assert judge(broken, loose) == ("pes2o_spaced_words", 5, 4)
    assert judge(broken, {**loose, "max_spaced_words": 5}) is None
    assert judge(paper() + " t h e, w o r d s, a r e, b r o, k e n,") is None


@pytest.mark.parametrize("metadata", [ABSTRACT, '{"source": "s2ag"}', '{"source":"pes2o/s2ag"}'])
def test_what_its_source_calls_an_abstract_has_bounds_of_its_own(metadata: str) -> None:
    def of(text: str, **settings: int) -> Any:
        return judge(text, settings, metadata=metadata)

    assert of(paper(words=100, paragraphs=1, times=20)) is None
    assert of(paper(words=48, paragraphs=1)) == ("pes2o_few_words", 48, 50)
    assert of(paper(words=48, paragraphs=1), min_abstract_words=48) is None
    assert of(paper(words=1002, paragraphs=1)) == ("pes2o_many_words", 1002, 1000)
    assert of(paper(100, 1) + " t h e, w o r d s, a r e, b r o, k e n,") == ("pes2o_spaced_words", 5, 4)


def test_the_most_frequent_word_of_an_abstract_has_two_letters_or_is_an_a_before_one_that_has() -> None:
    for first, second, failed in (
        ("the", "x", None), ("a", "of", None), ("b", "of", "b"), ("a", "b", "b"), ("a", "2.", "2."), ("=", "of", "="),
    ):  # fmt: skip
        text = " ".join([first] * 9 + [second] * 8 + [f"w{n}" for n in range(60)])
        found = judge(text, metadata=ABSTRACT)
        assert (found and found[:2]) == (failed and ("pes2o_frequent_word", failed))


def test_papers_known_to_lack_a_title_or_an_abstract_are_dropped() -> None:
    none, some = '{"abstract":false}', '{"corpusid":"1","abstract":true}'
    assert judge(paper(), metadata=none) == ("pes2o_no_abstract", 0, 1)
    assert judge(paper(), metadata=some) is None
    assert judge(paper(), metadata=some, title=None) == ("pes2o_no_abstract", 0, 1)
    assert judge(paper(), title=None) is None
    assert judge(paper(), {"title_and_abstract": False}, metadata=none) is None


def test_nothing_is_asked_where_everything_is_off() -> None:
    assert judge("", {"min_words": 0, "min_paragraphs": 0}) is None


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("2004", 2004),
        ("2004-05-11", 2004),
        ("11 May 1999", 1999),
        ("1965/1", 1965),
        ("20040511", 2004),
        ("20041511", None),
        ("12004", None),
        (None, None),
        ("", None),
        ("n.d.", None),
    ],
)
def test_a_year_is_found_in_a_date_of_any_form(date: str | None, year: int | None) -> None:
    (found,) = measure(batch("x", date=date), ScienceFilters())["pes2o.year"]
    assert found == year if year else np.isnan(found)


PIECES = ["a", "b", "I", "x1", "é", "the", ",", "\n", "\n\n", " \t", "\u2028", "\u3000", "(", "_", "w", "—", "語",
          "\x85", "\xa0", "\x1c", " ", " ", " ", "A"]  # fmt: skip


def test_what_is_measured_is_what_python_says_of_the_same_text() -> None:
    rng = random.Random(1)
    texts = ["".join(rng.choices(PIECES, k=rng.randrange(120))) for _ in range(3000)]
    texts += [" ".join(f"{rng.randrange(3000)}" for _ in range(20_000))]
    columns = measure(batch(*texts), ScienceFilters())
    for at, text in enumerate(texts):
        words = text.split()
        assert columns["pes2o.words"][at] == len(words)
        assert columns["pes2o.paragraphs"][at] == sum(map(bool, map(str.strip, re.split(r"\n\s*\n", text))))
        if words:
            word, times = Counter(words).most_common(1)[0]
            assert columns["pes2o.frequent_word"][at] == word
        if len(words) >= 500:
            assert columns["pes2o.frequent_word_share"][at] == times / len(words)
        else:
            broken = len(re.findall(r"\b[A-Za-z]\s(?:[a-z]\s)*[A-Za-z]\b", text))
            assert columns["pes2o.spaced_words"][at] == broken


def test_a_part_of_a_batch_is_measured_like_the_whole_and_an_empty_one_too() -> None:
    whole = batch(paper(), paper(498), "", paper(paragraphs=4), date="1999")
    measured, part = (measure(each, ScienceFilters()) for each in (whole, whole.slice(1, 2)))
    for name, column in part.items():
        assert [str(value) for value in column] == [str(value) for value in measured[name][1:3]]
    assert all(len(column) == 0 for column in measure(whole.slice(0, 0), ScienceFilters()).values())


@pytest.mark.parametrize("text", ["a " * 4_000_000, "x" * 8_000_000, "\n\n" * 4_000_000, "a\u3000" * 2_000_000])
def test_a_hostile_text_takes_little_time(text: str) -> None:
    began = time.process_time()
    measure(batch(text, metadata=ABSTRACT), ScienceFilters())
    assert time.process_time() - began < 4


def test_settings_that_do_not_go_together_are_told() -> None:
    with pytest.raises(ValueError, match="max_abstract_words 10 is less than min_abstract_words"):
        ScienceFilters(max_abstract_words=10)
