"""What many tests need: one thread for torch (two are slower on small tensors), and a small recipe to run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipeline.sample import sample

torch.set_num_threads(1)

BERTMILL = Path(sys.executable).with_name("bertmill")

RECIPE = """\
name: small
seed: 5
unit: {unit}
sources:
  web: {{kind: web, read: {raw}/*/web/*.warc.gz, filters: {{fineweb: null, c4: null}}}}
  code: {{kind: code, read: {raw}/*/code/*.parquet, filters: {{languages: [python], licenses: any}}}}
  science: {{kind: science, read: ["{raw}/*/science/*.tar.gz", "{raw}/*/science/*.tar"], filters: {{min_words: 50}}}}
dedup: {{near: {{threshold: 0.8}}, prefer: [science, web, code]}}
tokenizer: {{vocab: 1024, sample: 2M}}
packing: {{unit: 60K, holdout: 0.1, max_epochs: 1000}}
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
    """Small samples of real files: WARC, Parquet, JATS and LaTeX; the later ones repeat some of the first."""
    folder = tmp_path_factory.mktemp("raw") / "samples"
    for number, size in enumerate((20, 12, 6)):
        sample(folder / str(number), web_pages=2 * size, code_bytes=15_000 * size, articles=size)
    return folder


@pytest.fixture(scope="session")
def recipe_path(raw: Path) -> Path:
    """A recipe over it that takes seconds."""
    path = raw.parent / "small.yaml"
    path.write_text(RECIPE.format(raw=raw, unit="25K"))
    return path


def bertmill(*words: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """The console script as a user calls it."""
    command = [str(BERTMILL), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="session")
def whole(recipe_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work folder of an undisturbed run, not to be changed."""
    work = tmp_path_factory.mktemp("whole") / "work"
    done = bertmill("run", recipe_path, "--work", work)
    assert done.returncode == 0, done.stderr
    assert "final loss" in done.stdout
    return work
