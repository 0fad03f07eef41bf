"""Articles -> the archives in which papers come: JATS in a tar.gz, LaTeX in the layout of arXiv's source files."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.sample.installed import licenses
from pipeline.sample.jats import jats
from pipeline.sample.latex import latex
from pipeline.sample.science import articles

LATEX_EVERY = 3
"""Each third article is LaTeX, the others JATS."""

MONTH = "2501"


def write_science(folder: Path, count: int) -> tuple[int, int]:
    """Write `count` articles as `folder`/articles.tar.gz and arXiv_src_2501_001.tar; (articles, bytes of markup)."""
    xml: dict[str, bytes] = {}
    sources: dict[str, bytes] = {}
    markup = written = 0
    for article in articles(count):
        written += 1
        if article.number % LATEX_EVERY == 0:
            files = {name: text.encode() for name, text in latex(article).items()}
            markup += sum(map(len, files.values()))
            sources[f"{MONTH}/{MONTH}.{article.number:05d}.gz"] = _packed(files)
        else:
            data = jats(article, licenses(article.package)).encode()
            markup += len(data)
            xml[f"{article.package}/{article.name}.xml"] = data
    if xml:
        (folder / "articles.tar.gz").write_bytes(gzip.compress(_tar(xml), 6, mtime=0))
    if sources:
        (folder / f"arXiv_src_{MONTH}_001.tar").write_bytes(_tar(sources))
    return written, markup


def _packed(files: Mapping[str, bytes]) -> bytes:
    """A submission: the file itself when it is the only one, else a tar; gzipped."""
    alone = next(iter(files.values())) if len(files) == 1 else None
    return gzip.compress(alone or _tar(files), 6, mtime=0)


def _tar(files: Mapping[str, bytes]) -> bytes:
    """A tar that owes nothing to the clock or the user."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
