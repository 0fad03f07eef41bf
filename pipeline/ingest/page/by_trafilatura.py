"""Main text by trafilatura, for those who want what others had (`extract: trafilatura`, the extra `trafilatura`)."""

from __future__ import annotations

from pipeline.ingest.reading import MissingPackage


def main_text(html: str, url: str) -> str:
    """The text as FineWeb took it: precise, no comments (Penedo et al. 2024, section 3.2). Raises MissingPackage."""
    try:
        import trafilatura
    except ImportError:
        raise MissingPackage("extract: trafilatura needs a package; pip install 'bertmill[trafilatura]'") from None
    return trafilatura.extract(html, url=url, favor_precision=True, include_comments=False) or ""
