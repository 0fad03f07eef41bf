"""What a recipe may ask of documents: every threshold of every rule, with where it was published.

A family of rules is switched off by setting it to null.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.filters.checks import check_counts, check_share
from pipeline.filters.code.settings import CodeFilters


def _check_languages(languages: tuple[str, ...], score: float) -> None:
    check_share(language_score=score)
    for code in languages:
        if code != code.strip().lower() or not 2 <= len(code) <= 3:
            raise ValueError(f"languages: {code!r} is no language code; write it as in ISO 639: en, de, zh")


@dataclass(frozen=True, kw_only=True)
class Gopher:
    """The quality rules of Gopher (Rae et al. 2021, appendix A.1.1). Tokens are words and single symbols."""

    min_words: int = 50
    max_words: int = 100_000
    min_word_length: float = 3.0
    """Mean characters a word; not asked of texts in a script written without spaces."""
    max_word_length: float = 10.0
    max_symbols: float = 0.1
    """Number signs, or ellipses, by words."""
    max_bullet_lines: float = 0.9
    """Share of the lines that begin with a bullet."""
    max_ellipsis_lines: float = 0.3
    """Share of the lines that end with an ellipsis."""
    min_alphabetic: float = 0.8
    """Share of the tokens that hold a letter."""
    min_stop_words: int = 2
    """Different ones of "the, be, to, of, and, that, have, with"; asked of English texts only."""

    def __post_init__(self) -> None:
        check_counts(min_words=self.min_words, min_stop_words=self.min_stop_words)
        check_share(max_bullet_lines=self.max_bullet_lines, max_ellipsis_lines=self.max_ellipsis_lines)
        check_share(min_alphabetic=self.min_alphabetic)
        if self.max_words < self.min_words:
            raise ValueError(f"max_words {self.max_words} is less than min_words {self.min_words}")
        if self.max_word_length < self.min_word_length:
            raise ValueError(f"max_word_length {self.max_word_length:g} is less than min_word_length")
        if self.min_stop_words > 8:
            raise ValueError(f"min_stop_words {self.min_stop_words} is more than the 8 stop words there are")


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """The repetition rules of Gopher (Rae et al. 2021, table A1); characters are those of the whole text."""

    duplicate_lines: float = 0.30
    duplicate_paragraphs: float = 0.30
    duplicate_line_characters: float = 0.20
    duplicate_paragraph_characters: float = 0.20
    top_ngrams: tuple[tuple[int, float], ...] = ((2, 0.20), (3, 0.18), (4, 0.16))
    """(tokens, share of the characters that the most frequent n-gram may make up)."""
    duplicate_ngrams: tuple[tuple[int, float], ...] = (
        (5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10),
    )  # fmt: skip
    """(tokens, share of the characters that n-grams which came before may make up)."""

    def __post_init__(self) -> None:
        check_share(
            duplicate_lines=self.duplicate_lines,
            duplicate_paragraphs=self.duplicate_paragraphs,
            duplicate_line_characters=self.duplicate_line_characters,
            duplicate_paragraph_characters=self.duplicate_paragraph_characters,
        )
        for name, pairs in (("top_ngrams", self.top_ngrams), ("duplicate_ngrams", self.duplicate_ngrams)):
            for tokens, share in pairs:
                check_share(**{name: share})
                if tokens < 1:
                    raise ValueError(f"{name}: an n-gram has at least 1 token, not {tokens}")


@dataclass(frozen=True, kw_only=True)
class C4:
    """The rules of C4 (Raffel et al. 2020, section 2.2) as FineWeb uses them (Penedo et al. 2024, 3.5)."""

    terminal_punctuation: bool = False
    """Drop lines that do not end with . ! ? or a quotation mark. FineWeb: off, it drops 30 % of tokens."""
    min_line_words: int = 3
    """Lines with fewer words are dropped."""
    max_word_length: int = 1000
    """Lines with a longer word (characters between spaces) are dropped (the released C4)."""
    min_sentences: int = 5
    """Documents with fewer sentences, after lines were dropped, are dropped."""
    drop_citations: bool = True
    """Remove Wikipedia's marks: [12], [edit], [citation needed] (the released C4)."""

    def __post_init__(self) -> None:
        check_counts(min_line_words=self.min_line_words, max_word_length=self.max_word_length)
        check_counts(min_sentences=self.min_sentences)


@dataclass(frozen=True, kw_only=True)
class FineWeb:
    """FineWeb's own rules (Penedo et al. 2024, section 3.6)."""

    min_punctuated_lines: float = 0.12
    """Share of the lines that end with terminal punctuation."""
    max_short_lines: float = 0.67
    """Share of the lines of at most `short_line` characters."""
    short_line: int = 30
    """Characters (the paper says "shorter than 30"; the released code includes 30, and so do we)."""
    max_duplicate_line_characters: float = 0.1
    """Share of the characters in lines that came before. The paper's figure; the released code has 0.01."""
    max_newlines: float = 0.3
    """Newlines by words (the released code)."""

    def __post_init__(self) -> None:
        check_share(min_punctuated_lines=self.min_punctuated_lines, max_short_lines=self.max_short_lines)
        check_share(max_duplicate_line_characters=self.max_duplicate_line_characters)
        check_counts(short_line=self.short_line)


@dataclass(frozen=True, kw_only=True)
class WebFilters:
    """Rules for web pages, in the order they are asked: language, Gopher, repetition, C4, FineWeb."""

    languages: tuple[str, ...] = ("en",)
    """Languages to keep (ISO 639 codes as lid.176 has them); empty keeps all."""
    language_score: float = 0.65
    """Least probability of the language found (Penedo et al. 2024, section 3.3)."""
    gopher: Gopher | None = field(default_factory=Gopher)
    repetition: Repetition | None = field(default_factory=Repetition)
    c4: C4 | None = field(default_factory=C4)
    fineweb: FineWeb | None = field(default_factory=FineWeb)

    def __post_init__(self) -> None:
        _check_languages(self.languages, self.language_score)


@dataclass(frozen=True, kw_only=True)
class ScienceFilters:
    """Rules for papers: those of peS2o v2 (Soldaini and Lo 2023)."""

    languages: tuple[str, ...] = ("en",)
    """Languages to keep (ISO 639); empty keeps all."""
    language_score: float = 0.0
    """Least probability of the language found; peS2o asks for none, formulas lower it."""
    min_words: int = 500
    """Words of the whole paper."""
    min_paragraphs: int = 5
    max_frequent_word: float = 0.075
    """Share of a paper's words below which the most frequent one must be; that one must be alphabetic. Texts of fewer
    than 500 words (abstracts) are asked for the latter alone."""
    max_spaced_words: int = 4
    """Words broken into single letters ("t h e") by text recognition; asked of abstracts only."""
    min_year: int = 1970
    """Year of publication; asked of papers that tell it."""

    def __post_init__(self) -> None:
        _check_languages(self.languages, self.language_score)
        check_share(max_frequent_word=self.max_frequent_word)
        check_counts(min_words=self.min_words, min_paragraphs=self.min_paragraphs)
        check_counts(max_spaced_words=self.max_spaced_words, min_year=self.min_year)


@dataclass(frozen=True, kw_only=True)
class TextFilters:
    """Rules for tables of finished text, which someone else has chosen: hardly any."""

    languages: tuple[str, ...] = ()
    """Languages to keep (ISO 639); empty keeps all."""
    language_score: float = 0.0
    """Least probability of the language found."""
    min_words: int = 1
    """Documents with fewer words are dropped; the default drops only what holds no word at all."""

    def __post_init__(self) -> None:
        _check_languages(self.languages, self.language_score)
        check_counts(min_words=self.min_words)


Filters = WebFilters | CodeFilters | ScienceFilters | TextFilters
