"""A recipe of one source with copies in it, small enough to run up to its rows in a second."""

from __future__ import annotations

import json
import random
from pathlib import Path

RECIPE = """\
name: notes
unit: 20K
sources:
  t: {{kind: text, read: {folder}/in/*.jsonl, filters: {{{filters}}}}}
tokenizer: {{vocab: 512}}
packing: {{unit: 10K}}
model: {{layers: 4, hidden: 32, heads: 2, intermediate: 48}}
train: {{phases: [{{name: learn, tokens: 1K, context: 128, mix: {{t: 1}}}}]}}
"""


def toy_recipe(folder: Path, filters: str = "") -> Path:
    """A recipe's file, with three input files beside it: of their 180 notes 30 are copies and 30 near-copies."""
    dice = random.Random(4)
    words = [f"{a}{b}" for a in ("ka", "lo", "mi", "ne", "su") for b in ("rat", "bel", "dom", "fin", "gus", "hap")]
    notes = [" ".join(dice.choices(words, k=60)) for _ in range(120)]
    copies = [f"{note} and more" if n % 2 else note for n, note in enumerate(dice.sample(notes, 60))]
    texts = dice.sample([*notes, *copies], 180)
    (folder / "in").mkdir()
    for number in range(3):
        rows = [json.dumps({"text": text}) + "\n" for text in texts[60 * number : 60 * (number + 1)]]
        (folder / "in" / f"{number}.jsonl").write_text("".join(rows))
    path = folder / "notes.yaml"
    path.write_text(RECIPE.format(folder=folder, filters=filters))
    return path


def outputs(work: Path) -> dict[str, bytes]:
    """All that the stages made, but for logs, times and marks."""
    names = {path.relative_to(work).as_posix(): path for path in sorted(work.rglob("*")) if path.is_file()}
    kept = {name: path for name, path in names.items() if "/log/" not in name and not name.startswith(".")}
    return {name: path.read_bytes() for name, path in kept.items() if path.name not in ("stage.json", "inputs.json")}
