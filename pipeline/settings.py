"""The words a recipe may use of raw sources, and how they are turned into clean documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipeline.filters.checks import check_share
from pipeline.filters.code.settings import CodeFilters
from pipeline.filters.settings import ScienceFilters, TextFilters, WebFilters


@dataclass(frozen=True, kw_only=True)
class Files:
    """What all sources say: which files, and how much may be broken in them."""

    read: str | tuple[str, ...]
    """Glob patterns (`**` is any depth), relative to where the command runs, or in a store that fsspec knows (s3://,
    gs://, hf://datasets/). A folder that `datasets` saved is named by itself. Files are taken in sorted order."""
    max_bad: float = 0.01
    """Share of broken records (reasons that begin with `bad_`) above which the stage is not signed."""
    on_bad_file: Literal["fail", "skip"] = "fail"
    """A file that cannot be read, or not to its end, fails its unit; or is counted as `bad_file`, and what stands
    before the damage is kept."""

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.read,) if isinstance(self.read, str) else self.read

    def __post_init__(self) -> None:
        check_share(max_bad=self.max_bad)
        if not self.patterns or not all(self.patterns):
            raise ValueError("read names no file; give a pattern such as data/web/**/*.warc.gz")


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
class Near:
    """Near-duplicates: MinHash-LSH proposes pairs, the exact Jaccard similarity of their shingle sets decides."""

    threshold: float = 0.8
    """Exact Jaccard similarity from which two documents count as one (Lee et al. 2022, section 4.2)."""
    ngram: int = 5
    """Words in a shingle (Lee et al. 2022; FineWeb, section 3.4)."""
    bands: int = 14
    rows: int = 8
    """14 bands of 8 hashes propose a pair of similarity 0.8 with probability 0.92 (FineWeb, section 3.4)."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold is a similarity above 0 and up to 1, not {self.threshold:g}")
        for name in ("ngram", "bands", "rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Dedup:
    exact: bool = True
    """Drop documents whose normalised text occurred before, in any source."""
    near: Near | None = field(default_factory=Near)
    prefer: tuple[str, ...] = ()
    """Sources whose copy is kept first; sources not named come after, in the order of their names."""


@dataclass(frozen=True, kw_only=True)
class Tokenizer:
    """Train a byte-level BPE with ModernBERT's special tokens, or take an existing one."""

    vocab: int = 50_368
    """Ids in all, special and [unused] ones too; a multiple of 64 (tensor cores). ModernBERT: 50,368."""
    sample: int = 10_000_000_000
    """Bytes of text to train on at most, drawn by the shares of the mixture."""
    from_: str | None = None
    """Path of an existing tokenizer.json with [CLS], [SEP], [PAD] and [MASK]; nothing is trained then."""

    def __post_init__(self) -> None:
        if self.vocab % 64:
            raise ValueError(f"vocab {self.vocab} is not a multiple of 64; take {-(-self.vocab // 64) * 64}")
        if self.vocab < 512:
            raise ValueError(f"vocab {self.vocab} is too small for 256 bytes and the special tokens; take 512 or more")
