"""Half a gigabyte of real text with natural and made near-duplicates, the same on every machine.

    python bench/dedup/corpus.py [FILE.jsonl.gz ...] [--out work/dedup_corpus]

The text is that of pinned packages, fetched by `pip download`: sources, manuals and translations, several versions of
some, which is where near-duplicates occur by themselves. Further files (JSON lines with `text`) are taken as they are.
On top come copies of `COPIES` documents in which words were exchanged at a known rate, so that similarities from .5 to
1 all occur. A line is one document: `id`, `family` (the same for versions and copies of one file), `text`.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import html
import json
import random
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from itertools import accumulate, groupby
from pathlib import Path, PurePosixPath
from typing import Any

WHEELS = (
    "ansible==11.1.0", "nova==29.0.0", "nova==30.0.0", "neutron==24.0.0", "neutron==25.0.0", "cinder==25.0.0",
    "wagtail==6.2.1", "wagtail==6.3.2", "Twisted==24.11.0",
)  # fmt: skip
SOURCES = (
    "django==4.2.26", "django==5.1.14", "django==5.2.8", "sympy==1.13.3", "sympy==1.14.0", "sphinx==8.2.3",
    "sqlalchemy==1.4.54", "sqlalchemy==2.0.44",
)  # fmt: skip
"""Manuals are in the source distributions alone."""

TEXT = {".py", ".pyi", ".rst", ".txt", ".md", ".po", ".yml", ".yaml", ".html"}
LEAST = 200
"""Bytes of a document."""
COPIES = 6000
LIGHTEST, HEAVIEST = 0.002, 0.06
"""Shares of words exchanged. A run of 5 words stays whole with s = (1 - share)^5, and J = s / (2 - s): .98 to .58."""
PART = 64 << 20
"""Characters of text in a file."""
SEED = 17

HOME = Path(__file__).parents[2] / "work" / "dedup_corpus"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("files", nargs="*", type=Path)
    options.add_argument("--out", type=Path, default=HOME)
    asked = options.parse_args()
    for path in corpus(asked.out, asked.files):
        print(path)


def corpus(out: Path = HOME, files: Iterable[Path] = ()) -> list[Path]:
    """The files of the corpus, in order; made at first use (some minutes, 150 MB are fetched)."""
    if not (out / "ready").exists():
        archives = fetch(out / "packages")
        documents = [found for path in archives for found in unpack(path)]
        documents += [found for path in files for found in lines(path)]
        write([*documents, *copies(documents)], out)
        (out / "ready").touch()
    return sorted(out.glob("part-*.jsonl.gz"))


def fetch(folder: Path) -> list[Path]:
    """The archives of all packages, in the order of their names."""
    for kind, packages in (("--only-binary", WHEELS), ("--no-binary", SOURCES)):
        for package in packages:  # one by one: two versions of one package are no set that pip would resolve
            command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", kind, ":all:", package]
            subprocess.run([*command, "--dest", folder], check=True)
    return sorted(path for path in folder.iterdir() if path.name.endswith((".whl", ".tar.gz")))


def unpack(path: Path) -> Iterator[dict[str, str]]:
    """The documents of one archive, by name."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            content = [(name, archive.read(name)) for name in sorted(archive.namelist()) if wanted(name)]
    else:
        with tarfile.open(path) as tar:
            members = sorted((m for m in tar if m.isfile() and wanted(m.name)), key=lambda member: member.name)
            content = [(member.name, opened.read()) for member in members if (opened := tar.extractfile(member))]
    package = "-".join(path.name.removesuffix(".tar.gz").removesuffix(".whl").split("-")[:2])
    for name, data in content:
        if text := readable(name, data):
            yield {"id": f"{package}/{name}", "family": family(package, name), "text": text}


def wanted(name: str) -> bool:
    return PurePosixPath(name).suffix in TEXT


def readable(name: str, data: bytes) -> str | None:
    """The text of a file, without the tags of a page; None if it is too short or no UTF-8."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if name.endswith(".html"):
        text = html.unescape(re.sub(r"<[^>]*>", "", text))
    return text if len(text) >= LEAST and "\0" not in text and len(tokens(text)) >= 5 else None


def family(package: str, name: str) -> str:
    """The file's name without the version of its package."""
    return f"{package.rsplit('-', 1)[0]}/{name.split('/', 1)[-1]}"


def tokens(text: str) -> list[str]:
    """The words by which similarity is measured."""
    return [word for word in re.split(r"\W+", text.lower()) if word]


def lines(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as opened:
        for number, line in enumerate(opened):
            text = json.loads(line).get("text")
            if isinstance(text, str) and readable("", text.encode("utf-8", "replace")):
                name = f"{path.name}#{number}"
                yield {"id": name, "family": name, "text": text}


def copies(documents: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Near-copies of documents drawn at random, each with words exchanged for others of the same document."""
    rng = random.Random(SEED)
    for number, original in enumerate(rng.sample(documents, min(COPIES, len(documents)))):
        share = rng.uniform(LIGHTEST, HEAVIEST)
        pieces = re.split(r"(\w+)", original["text"])
        words = pieces[1::2]
        for place in range(len(words)):
            if rng.random() < share:
                pieces[2 * place + 1] = rng.choice(words)
        yield {"id": f"copy-{number:05}/{original['id']}", "family": original["family"], "text": "".join(pieces)}


def write(documents: list[dict[str, str]], out: Path) -> None:
    """The documents in an order that knows nothing of packages, in parts of `PART` bytes."""
    documents.sort(key=lambda document: hashlib.blake2b(document["id"].encode()).digest())
    ends = accumulate(len(document["text"]) for document in documents)
    for part, chosen in groupby(zip(ends, documents, strict=True), lambda one: one[0] // PART):
        with gzip.open(out / f"part-{part:02}.jsonl.gz", "wt", compresslevel=1, encoding="utf-8") as opened:
            opened.writelines(json.dumps(document, ensure_ascii=False) + "\n" for _, document in chosen)


def read(paths: Iterable[Path], share: float = 1.0) -> Iterator[dict[str, Any]]:
    """The documents of a corpus, or of a share of its families; one that names no family is one of its own."""
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as opened:
            for line in opened:
                document = json.loads(line)
                document.setdefault("family", document["text"])
                if share >= 1 or drawn(document["family"]) < share:
                    yield document


def drawn(family: str) -> float:
    """A number in [0, 1) that stands for a family."""
    return int.from_bytes(hashlib.blake2b(family.encode(), digest_size=4).digest(), "big") / 2**32


if __name__ == "__main__":
    main()
