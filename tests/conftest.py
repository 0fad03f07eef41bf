"""What many tests need: one thread for torch (two are slower on small tensors), and a small recipe to run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.sample import sample

torch.set_num_threads(1)

RECIPE = """\
name: small
seed: 5
unit: {unit}
sources:
  web: {{kind: web, read: {raw}/web/*.warc.gz, filters: {{fineweb: null, c4: null}}}}
  code: {{kind: code, read: {raw}/code/*.parquet, filters: {{languages: [python], licenses: any}}}}
  science: {{kind: science, read: ["{raw}/science/*.tar.gz", "{raw}/science/*.tar"], filters: {{min_words: 50}}}}
dedup: {{near: {{threshold: 0.8}}, prefer: [science, web, code]}}
tokenizer: {{vocab: 1024, sample: 2M}}
packing: {{holdout: 0.1, max_epochs: 1000}}
model: {{layers: 4, hidden: 32, heads: 2, intermediate: 48, window: 32}}
train:
  optimizer: {{peak: 5e-3}}
  batch: {{rows: 8, warmup: {{from: 4, over: 3K}}}}
  save_every: 4K
  phases:
    - {{name: learn, tokens: 10K, context: 128, mix: {{web: 0.5, code: 0.2, science: 0.3}}, warmup: 1K}}
    - {{name: lengthen, tokens: 4K, context: 256, mix: {{web: 0.3, code: 0.3, science: 0.4}}, rope: 160000}}
    - {{name: settle, tokens: 4K, context: 256, mix: {{web: 0.5, code: 0.5}}, rope: 160000, decay: 1-sqrt}}
  evaluate: {{rows: 4}}
"""


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample of real files: WARC, Parquet, JATS and LaTeX."""
    folder = tmp_path_factory.mktemp("raw") / "sample"
    sample(folder, web_pages=40, code_bytes=300_000, articles=20)
    return folder


@pytest.fixture(scope="session")
def recipe_path(raw: Path) -> Path:
    """A recipe over it that takes seconds."""
    path = raw.parent / "small.yaml"
    path.write_text(RECIPE.format(raw=raw, unit="200K"))
    return path
