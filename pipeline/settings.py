"""The words a recipe may use of raw sources, and how they are turned into clean documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.filters.checks import check_share
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.settings import ScienceFilters, TextFilters, WebFilters


@dataclass(frozen=True, kw_only=True)
class Read:
    """What all sources say: which files."""

    read: str | tuple[str, ...]
    """Glob patterns (`**` is any depth), relative to where the command runs, or in a store that fsspec knows (s3://,
    gs://, hf://datasets/). A folder that `datasets` saved is named by itself. Files are taken in sorted order."""

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.read,) if isinstance(self.read, str) else self.read

    def __post_init__(self) -> None:
        if not self.patterns or not all(self.patterns):
            raise ValueError("read names no file; give a pattern such as data/web/**/*.warc.gz")


@dataclass(frozen=True, kw_only=True)
class Files(Read):
    """What sources of text say: how much may be broken in their files."""

    max_bad: float = 0.01
    """Share of broken records (reasons that begin with `bad_`) above which the stage is not signed."""
    on_bad_file: Literal["fail", "skip"] = "fail"
    """A file that cannot be read, or not to its end, fails its unit; or is counted as `bad_file`, and what stands
    before the damage is kept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share(max_bad=self.max_bad)


Extract = Literal["bertmill", "trafilatura"]


@dataclass(frozen=True, kw_only=True)
class WebSource(Files):
    """Web captures: WARC (.warc), ARC (.arc) and extracted text (.wet), plain, .gz, .zst or .lz4."""

    kind: Literal["web"]
    extract: Extract = "bertmill"
    """What takes the main text from a page. trafilatura (an extra) is for comparison: 20 to 40 times as slow."""
    filters: WebFilters = field(default_factory=WebFilters)


@dataclass(frozen=True, kw_only=True)
class CodeSource(Files):
    """Source code: tables in the columns of The Stack v1 or v2 (.parquet) or StarCoder data (.jsonl, .gz, .zst), and
    repositories, as archives (.tar, .tar.gz, .tgz, .tar.zst, .zip) or as folders of files."""

    kind: Literal["code"]
    filters: CodeFilters = field(default_factory=CodeFilters)


@dataclass(frozen=True, kw_only=True)
class ScienceSource(Files):
    """Papers: JATS and PubMed (.xml, .gz, JATS in .tar.gz), MEDLINE text (.txt, .nbib), LaTeX in arXiv's layout (.tar
    of .gz), PDF, and tables in the columns of peS2o or S2ORC or with abstracts."""

    kind: Literal["science"]
    references: bool = False
    """Keep the reference lists of papers."""
    filters: ScienceFilters = field(default_factory=ScienceFilters)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where a table keeps what a document has. A column of a document's own name is taken without being named.

    `a.b` is the field b of the objects in a. A column that is named has to be there.
    """

    text: str | tuple[str, ...] = "text"
    """Strings, or lists of strings (paragraphs, turns); of several columns a blank line stands between two."""
    id: str | None = None
    url: str | None = None
    title: str | None = None
    date: str | None = None
    language: str | None = None
    license: str | None = None

    def __post_init__(self) -> None:
        if not self.texts or not all(self.texts):
            raise ValueError("text names no column; write text: content or text: [title, body]")

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text,) if isinstance(self.text, str) else self.text


@dataclass(frozen=True, kw_only=True)
class TextSource(Files):
    """Tables that hold finished text: .parquet, .arrow, .feather, .jsonl or .json (.gz, .zst)."""

    kind: Literal["text"]
    columns: Columns = field(default_factory=Columns)
    keep: tuple[str, ...] = ()
    """Further columns, kept in the metadata under their names."""
    filters: TextFilters = field(default_factory=TextFilters)


Source = WebSource | CodeSource | ScienceSource | TextSource


@dataclass(frozen=True, kw_only=True)
class ShardsSource(Read):
    """MDS shards that somebody has tokenised, by their index.json files: their documents are ids, and no text."""

    kind: Literal["shards"]
    tokenizer: str
    """The tokenizer.json that the ids were made with. The recipe's must have the same vocabulary."""
    column: str = "input_ids"
    """The column that holds the ids: arrays of one dimension. Others (`id`, `len`, masks) are not read."""


AnySource = Source | ShardsSource


@dataclass(frozen=True, kw_only=True)
class Near:
    """Near-duplicates: MinHash-LSH proposes pairs, the exact Jaccard similarity of their shingle sets decides."""

    threshold: float = 0.8
    """Exact Jaccard similarity from which two documents count as one (Lee et al. 2022, section 4.2)."""
    ngram: int = 5
    """Words in a shingle (Lee et al. 2022; FineWeb, section 3.4)."""
    bands: int = 20
    rows: int = 6
    """20 bands of 6 hashes propose a pair of similarity 0.8 with probability 0.998, FineWeb's 14 of 8 (section 3.4)
    with 0.92. They propose more that are not similar, too, which costs time alone: every pair is verified."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is a similarity above 0 and up to 1, not {self.threshold:g}")
        for name in ("ngram", "bands", "rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines that many documents of a site have: menus, notices, footers. C4 (Raffel et al. 2020, section 2.2), CCNet
    (Wenzek et al. 2020) and DCLM (Li et al. 2024, section 4.3) remove them across the whole corpus."""

    sources: tuple[str, ...] = ()
    """Sources whose lines are compared; those of kind web if none is named. Lines of code repeat as they should."""
    unit: Literal["line", "paragraph"] = "line"
    """What is compared and removed. Our web documents have no blank lines once C4's rules have gone over them."""
    scope: Literal["site", "source", "all"] = "site"
    """Where it repeats: in one site, one source, or in all `sources` together. Boilerplate is a site's own; a sentence
    that many sites have may be a quotation, and near-duplicates are found elsewhere."""
    max_documents: int = 6
    """Documents of the scope that may have a line; one in more is repeated (Llama 3, Dubey et al. 2024, section 3.1.1:
    6, in 30 million documents). C4's rule is 1."""
    keep: Literal["first", "none"] = "first"
    """Where a repeated line stays: in the document with the smallest id (C4: all but one), so that a paragraph which
    is content is not lost; or in none."""
    min_line_words: int = 5
    """Words from which a line is compared (DCLM's bff: 5): shorter ones are headings, and lines of code and tables."""
    min_words: int = 50
    """A document that lost lines is dropped if fewer words are left (Gopher, Rae et al. 2021, appendix A.1.1)."""

    def __post_init__(self) -> None:
        for name, least in (("max_documents", 1), ("min_line_words", 1), ("min_words", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is at least {least}, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Substrings:
    """Long runs of tokens that stand in a text earlier, of any source, or earlier in the same text (Lee et al. 2022,
    section 4.1). A token is a word or a symbol of pipeline/words.py; the tokenizer is trained on what is left."""

    tokens: int = 50
    """From how many tokens in a row (Lee et al. 2022, section 4.1: 50 of GPT-2's)."""
    action: Literal["remove", "mask"] = "remove"
    """Take them out; or put `marker` in the place of each, and tell in the metadata where it stands for what length."""
    marker: str = "[...]"
    max_repeated: float = 0.8
    """A document of which this share of the tokens or more stands earlier is dropped whole, unless a run of `tokens`
    tokens is left of it: scraps are no text. Our choice."""

    def __post_init__(self) -> None:
        if self.tokens < 4:
            raise ValueError(f"tokens is at least 4, not {self.tokens}; 50 is usual")
        if not 0 < self.max_repeated <= 1:
            raise ValueError(f"max_repeated is a share above 0 and up to 1, not {self.max_repeated:g}")
        if not self.marker:
            raise ValueError("marker is empty; write one such as '[...]', or action: remove")


@dataclass(frozen=True, kw_only=True)
class Dedup:
    exact: bool = True
    """Drop documents whose normalised text occurred before, in any source."""
    near: Near | None = field(default_factory=Near)
    prefer: tuple[str, ...] = ()
    """Sources whose copy is kept first; sources not named come after, in the order of their names."""
    against: tuple[str, ...] = ()
    """Folders of earlier runs: what duplicates one of their documents goes, and their signatures are read as they
    are. `bands`, `rows`, `ngram` and `exact` must be those of the earlier runs."""
    lines: Lines | None = None
    substrings: Substrings | None = None

    @property
    def signed(self) -> dict[str, Any]:
        """What signatures are made with."""
        near = {"ngram": self.near.ngram, "bands": self.near.bands, "rows": self.near.rows} if self.near else None
        return {"exact": self.exact, "near": near}


@dataclass(frozen=True, kw_only=True)
class Decontaminate:
    """What a model is evaluated on is kept out of its training: n-grams of words, as GPT-3 had it (Brown et al. 2020,
    appendix C), with what makes one of them evidence told in docs/decontamination.md."""

    against: str | tuple[str, ...] | Mapping[str, str | tuple[str, ...]]
    """Evaluation files: a pattern or several, each file being a set of its own, or a pattern or several for each set's
    name. .jsonl, .json, .csv, .tsv, .txt (.gz, .zst), .parquet, .arrow."""
    columns: tuple[str, ...] = ()
    """The columns that hold texts, `a.b` in objects; all that do if none is named."""
    ngram: int = 13
    """Words of an n-gram (GPT-3: 13)."""
    short: int = 8
    """Words of an n-gram of a text that has fewer than `ngram` (the least that GPT-3 used). Texts of fewer still cannot
    be looked for, and the report counts them."""
    characters: int = 2
    """Characters that count as a word in Han, Kana, Thai, Lao, Khmer and Myanmar, which have no spaces: 13 English
    words are 75 letters of 1 to 1.3 bits, as are some 20 to 25 Han or Kana of 4."""
    least: int = 3
    """N-grams of a text that a document has to hold at least, a tenth of them if those are more, or half if those are
    fewer. Measured: of 11,700 documents 11 hold some 13-gram of 134,000 evaluation rows, 5 of them by
    accident (`meta name viewport ...`); these 5 hold 1 to 6, which is a hundredth to a twentieth of the text."""
    enough: int = 8
    """N-grams that are always enough: 20 words in a row."""
    frequent: int = 10
    """An n-gram in more documents than this is no evidence but for long copies (GPT-3: 10)."""
    action: Literal["drop", "cut"] = "drop"
    """What becomes of a document: it goes, or what was found in it does."""
    around: int = 200
    """Characters that are cut on each side as well (GPT-3: 200)."""
    shortest: int = 200
    """Characters under which a piece between two cuts goes (GPT-3: 200)."""
    most_pieces: int = 10
    """A document that falls into more pieces goes whole (GPT-3: 10)."""
    max_bad: float = 0.01
    """Share of broken rows of evaluation files above which they are refused."""

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """The patterns of each set; those of sets without a name under ''."""
        named = self.against if isinstance(self.against, Mapping) else {"": self.against}
        return {name: (given,) if isinstance(given, str) else tuple(given) for name, given in named.items()}

    def __post_init__(self) -> None:
        check_share(max_bad=self.max_bad)
        for name, patterns in self.sets.items():
            if not patterns or not all(patterns):
                raise ValueError("against names no file; give a pattern such as eval/**/*.jsonl")
            if "/" in name or (not name and isinstance(self.against, Mapping)):
                raise ValueError(f"'{name}' cannot name a set; use letters, digits, '-' and '_'")
        if not self.sets:
            raise ValueError("against names no file; give a pattern such as eval/**/*.jsonl")
        if not 4 <= self.short < self.ngram <= 50:
            raise ValueError(f"short is at least 4, ngram more and up to 50; not {self.short} and {self.ngram}")
        if not 1 <= self.characters <= 4:
            raise ValueError(f"characters is from 1 to 4, not {self.characters}")
        if not 1 <= self.least <= self.enough:
            raise ValueError(f"least is from 1 to enough, not {self.least}; enough is {self.enough}")
        for name, least in (("frequent", 0), ("around", 0), ("shortest", 0), ("most_pieces", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is at least {least}, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """Train a byte-level BPE with ModernBERT's special tokens, take an existing one, or extend it."""

    vocab: int = 50_368
    """Ids in all, special and [unused] ones too; a multiple of 64 (tensor cores). ModernBERT: 50,368."""
    sample: int = 10_000_000_000
    """Bytes of text to train on at most, drawn by the shares of the mixture."""
    from_: str | None = None
    """Path of an existing tokenizer.json with [CLS], [SEP], [PAD] and [MASK]; nothing is trained then."""
    extend: int = 0
    """Pieces to learn on top of those of `from`, on the sample, for another domain or language; [unused] ids fill up to
    a multiple of 64. Old ids and merges stay."""

    def __post_init__(self) -> None:
        if self.extend < 0 or (self.extend and self.from_ is None):
            raise ValueError(f"extend {self.extend} needs a number of pieces above 0, and `from`: what is extended")
        if self.sample < 1:
            raise ValueError(f"sample {self.sample} bytes hold nothing; 10B is usual")
        if self.vocab % 64:
            raise ValueError(f"vocab {self.vocab} is not a multiple of 64; take {-(-self.vocab // 64) * 64}")
        if self.vocab < 512:
            raise ValueError(f"vocab {self.vocab} is too small for 256 bytes and the special tokens; take 512 or more")
