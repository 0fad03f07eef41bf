"""What a recipe may ask of documents: every threshold of every rule, with where it was published.

A family of rules is switched off by setting it to null.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.filters.checks import check_counts, check_share
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.known import KNOWN
from pipeline.filters.redaction import Pii

Score = float | dict[str, float]
"""A least probability: one for all languages, or by code, with `default` (0 if not given) for the others."""


def _check_languages(languages: tuple[str, ...], score: Score, share: float) -> None:
    check_share(language_share=share)
    scores = score if isinstance(score, dict) else {"default": score}
    for code, least in scores.items():
        check_share(**{f"language_score of {code}" if isinstance(score, dict) else "language_score": least})
        if code != "default" and code not in KNOWN:
            raise ValueError(f"language_score: {_unknown(code)}")
        if languages and code not in ("default", *languages):
            raise ValueError(f"language_score: {code} is none of the languages asked for ({', '.join(languages)})")
    for code in languages:
        if code not in KNOWN:
            raise ValueError(f"languages: {_unknown(code)}")


def _unknown(code: str) -> str:
    return f"{code!r} is no language code that lid.176 knows; write it as in ISO 639: en, de, zh"


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
    max_lorem_ipsum: int = 0
    """Lines that say "lorem ipsum" which a document may have."""
    max_curly_brackets: int = 0
    """Lines with a curly bracket which a document may have; C4's rule against code among the prose."""
    drop_citations: bool = True
    """Remove Wikipedia's marks: [12], [edit], [citation needed] (the released C4)."""

    def __post_init__(self) -> None:
        check_counts(min_line_words=self.min_line_words, max_word_length=self.max_word_length)
        check_counts(min_sentences=self.min_sentences, max_lorem_ipsum=self.max_lorem_ipsum)
        check_counts(max_curly_brackets=self.max_curly_brackets)


@dataclass(frozen=True, kw_only=True)
class FineWeb:
    """FineWeb's own rules (Penedo et al. 2024, section 3.6)."""

    min_punctuated_lines: float = 0.12
    """Share of the lines that end with terminal punctuation."""
    max_short_lines: float = 0.67
    """Share of the lines of at most `short_line` characters."""
    short_line: int = 30
    """Characters (the paper says "shorter than 30"; the released code includes 30, and so do we)."""
    max_duplicate_line_characters: float = 0.01
    """Share of the characters in lines that came before: as in the released code that FineWeb was made with; the
    paper says 0.1."""
    max_newlines: float = 0.3
    """Newlines by words (the released code)."""

    def __post_init__(self) -> None:
        check_share(min_punctuated_lines=self.min_punctuated_lines, max_short_lines=self.max_short_lines)
        check_share(max_duplicate_line_characters=self.max_duplicate_line_characters)
        check_counts(short_line=self.short_line)


@dataclass(frozen=True, kw_only=True)
class Urls:
    """Lists that a page's URL must not be on: patterns of files, one entry a line, plain or .gz, # for comments.

    No list comes with bertmill. The rules and their order are those of FineWeb (Penedo et al. 2024, section 3.1).
    """

    blocked_domains: str | tuple[str, ...] = ()
    """Domains; those below them are blocked, too. A folder is read as the UT1 lists are laid out: its `domains`."""
    blocked_urls: str | tuple[str, ...] = ()
    """Host and path; what goes on from there is blocked, too. Of a folder in UT1's layout, its `urls`."""
    banned_words: str | tuple[str, ...] = ()
    """Words that must not stand in the URL as a whole."""
    soft_banned_words: str | tuple[str, ...] = ()
    """Words of which fewer than `soft_threshold` different ones may stand in the URL."""
    banned_subwords: str | tuple[str, ...] = ()
    """Runs of letters and digits that must not occur, whatever stands between them."""
    soft_threshold: int = 2

    def __post_init__(self) -> None:
        if self.soft_threshold < 1:
            raise ValueError(f"soft_threshold is at least 1 word, not {self.soft_threshold}")


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A score by a model of one's own, kept as the column `quality` and in the documents' metadata."""

    model: str | None = None
    """A supervised fastText file (.bin, .ftz)."""
    label: str | None = None
    """The label of the model whose probability is the score, as the file has it: __label__hq."""
    scorer: str | None = None
    """Instead of a model, `package.module:function` or the name of an entry point of the group bertmill.quality."""
    min: float | None = None
    """Documents with a lower score are dropped; null keeps all of them, with their scores."""

    def __post_init__(self) -> None:
        if (self.model is None) == (self.scorer is None):
            raise ValueError("give either model, a fastText file, or scorer, package.module:function")
        if (self.model is None) != (self.label is None):
            raise ValueError("model and label go together: the score is the probability of that label")
        if self.model is not None and self.min is not None:
            check_share(min=self.min)


@dataclass(frozen=True, kw_only=True)
class WebFilters:
    """Rules for web pages, in the order they are asked: URL, language, Gopher, repetition, C4, FineWeb."""

    urls: Urls | None = None
    languages: tuple[str, ...] = ("en",)
    """Languages to keep (ISO 639 codes as lid.176 has them); empty keeps all."""
    language_score: Score = 0.65
    """Least probability of the language found (Penedo et al. 2024, section 3.3)."""
    language_share: float = 0.0
    """Least share of the text in its language: 0.5 drops pages of which most is surely in another one."""
    gopher: Gopher | None = field(default_factory=Gopher)
    repetition: Repetition | None = field(default_factory=Repetition)
    c4: C4 | None = field(default_factory=C4)
    fineweb: FineWeb | None = field(default_factory=FineWeb)
    quality: Quality | None = None
    pii: Pii | None = field(default_factory=Pii)

    def __post_init__(self) -> None:
        _check_languages(self.languages, self.language_score, self.language_share)


@dataclass(frozen=True, kw_only=True)
class ScienceFilters:
    """Rules for papers: those of peS2o v2 (Soldaini and Lo 2023). Words are what stands between spaces."""

    languages: tuple[str, ...] = ("en",)
    """Languages to keep (ISO 639); empty keeps all."""
    language_score: Score = 0.0
    """Least probability of the language found; peS2o asks for none, formulas lower it."""
    language_share: float = 0.0
    """Least share of the text in its language."""
    min_words: int = 500
    """Words of the whole paper."""
    min_paragraphs: int = 5
    max_frequent_word: float = 0.075
    """Share of a paper's words below which the most frequent one must be; that one must be alphabetic. Texts of fewer
    than 500 words are asked for the latter alone."""
    min_abstract_words: int = 50
    max_abstract_words: int = 1_000
    """Of what its source calls an abstract (PubMed, peS2o's s2ag), which has no paragraphs to count."""
    max_spaced_words: int = 4
    """Words in single letters ("t h e") from text recognition; asked of abstracts and of texts under 500 words."""
    min_year: int = 1970
    """Year of publication; asked of papers that tell it."""
    title_and_abstract: bool = True
    """Drop what is known to lack a title or an abstract; S2ORC and PubMed tell."""

    quality: Quality | None = None
    pii: Pii | None = field(default_factory=Pii)

    def __post_init__(self) -> None:
        _check_languages(self.languages, self.language_score, self.language_share)
        check_share(max_frequent_word=self.max_frequent_word)
        check_counts(min_words=self.min_words, min_paragraphs=self.min_paragraphs)
        check_counts(max_spaced_words=self.max_spaced_words, min_year=self.min_year)
        check_counts(min_abstract_words=self.min_abstract_words, max_abstract_words=self.max_abstract_words)
        if self.max_abstract_words < self.min_abstract_words:
            raise ValueError(f"max_abstract_words {self.max_abstract_words} is less than min_abstract_words")


@dataclass(frozen=True, kw_only=True)
class TextFilters:
    """Rules for tables of finished text, which someone else has chosen: hardly any."""

    languages: tuple[str, ...] = ()
    """Languages to keep (ISO 639); empty keeps all."""
    language_score: Score = 0.0
    """Least probability of the language found."""
    language_share: float = 0.0
    """Least share of the text in its language."""
    min_words: int = 1
    """Documents with fewer words are dropped; the default drops only what holds no word at all."""
    quality: Quality | None = None
    pii: Pii | None = field(default_factory=Pii)

    def __post_init__(self) -> None:
        _check_languages(self.languages, self.language_score, self.language_share)
        check_counts(min_words=self.min_words)


Filters = WebFilters | CodeFilters | ScienceFilters | TextFilters
