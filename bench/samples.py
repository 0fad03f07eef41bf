"""What a bench reads if it is given nothing: the files that `bertmill sample` makes, under work/sample."""

from __future__ import annotations

from pathlib import Path

from pipeline.sample import sample

HOME = Path(__file__).parents[1] / "work" / "sample"


def samples(pattern: str) -> list[Path]:
    """The sample's files that match, such as `web/*.warc.gz`; made at first use. Raises SampleError."""
    sample(HOME)
    return sorted(HOME.glob(pattern))
