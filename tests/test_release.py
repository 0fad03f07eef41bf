import json
import shutil
from pathlib import Path

import pytest
import torch

from commands.fill_mask import FillMaskError, fill
from commands.import_ import import_model
from commands.release import export_checkpoint
from model.attention import Segments
from tests.conftest import bertmill
from train.checkpoint import newest, open_checkpoint


def test_transformers_loads_the_export_and_gives_our_logits(whole: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(whole / "export").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(whole / "export")
    checkpoint = newest(whole / "checkpoints")
    assert checkpoint
    ours = checkpoint.model()
    texts = ["import numpy as [MASK]", "Returns a new array. " * 40, "x"]
    lengths = [len(tokenizer(text)["input_ids"]) for text in texts]
    ids = torch.cat([torch.tensor(tokenizer(text)["input_ids"]) for text in texts])
    with torch.no_grad():
        packed = ours(ids, Segments.of(lengths)).split(lengths)
        for text, logits in zip(texts, packed, strict=True):
            alone = theirs(**tokenizer(text, return_tensors="pt")).logits[0]
            assert (alone - logits).abs().max() <= 1e-5


def test_the_card_tells_recipe_funnel_and_evaluation(whole: Path) -> None:
    card = (whole / "export" / "README.md").read_text()
    for said in ("bits per byte", "| science |", "peak: 0.005", "records  documents  filtered"):
        assert said in card


def test_the_card_of_an_intermediate_checkpoint_tells_of_that_moment(whole: Path, tmp_path: Path) -> None:
    first = open_checkpoint(min((whole / "checkpoints").glob("step-*")))
    export_checkpoint(first.folder, tmp_path / "hub")
    card = (tmp_path / "hub" / "README.md").read_text()
    for said in (
        f"step {first.state.step:,}, in phase `learn`, after {first.state.tokens:,} tokens",
        "Of the whole run; this checkpoint stands within it.",
        "records  documents  filtered",
        f"| learn | web | {first.state.read['learn']['web']['tokens']:,} |",
        "| stage dedup/web |",
        f"| rows web/128 | `{first.state.identity['rows']['web/128']}` |",
        "language:\n- en\n",
    ):
        assert said in card, said
    assert "| settle |" not in card, "what was not read yet is no part of these weights"


def test_a_checkpoint_beside_the_recipe_of_another_run_is_not_said_to_be_of_it(whole: Path, tmp_path: Path) -> None:
    found = min((whole / "checkpoints").glob("step-*"))
    shutil.copytree(found, tmp_path / "checkpoints" / found.name)
    recipe = (whole / "recipe.yaml").read_text()
    (tmp_path / "recipe.yaml").write_text(recipe.replace("seed: 5", "seed: 6"))
    export_checkpoint(tmp_path / "checkpoints" / found.name, tmp_path / "hub")
    assert "Not known: the recipe of the run does not stand beside" in (tmp_path / "hub" / "README.md").read_text()


def test_a_checkpoint_exported_and_imported_is_the_same_model(whole: Path, tmp_path: Path) -> None:
    checkpoint = newest(whole / "checkpoints")
    assert checkpoint
    export_checkpoint(checkpoint.folder, tmp_path / "hub")
    import_model(tmp_path / "hub", tmp_path / "again")
    again = open_checkpoint(tmp_path / "again")
    assert again.state.context == checkpoint.state.context
    for (name, ours), (_, theirs) in zip(
        checkpoint.model().state_dict().items(), again.model().state_dict().items(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    export_checkpoint(tmp_path / "again", tmp_path / "twice")
    for path in (tmp_path / "hub").iterdir():
        if path.name not in ("README.md", "hashes.json"):  # the card of what was imported knows less
            assert path.read_bytes() == (tmp_path / "twice" / path.name).read_bytes()
    assert "how they were trained is not known here" in (tmp_path / "twice" / "README.md").read_text()


def test_masks_are_filled_best_first(whole: Path) -> None:
    (answer, second) = fill(whole / "export", ["import [MASK] as [MASK]", "a [MASK]"], 3)
    assert len(second["masks"]) == 1
    assert answer["text"] == "import [MASK] as [MASK]"
    assert [len(mask) for mask in answer["masks"]] == [3, 3]
    for mask in answer["masks"]:
        chances = [one["probability"] for one in mask]
        assert chances == sorted(chances, reverse=True)
        assert set(mask[0]) == {"token", "token_id", "probability"}


def test_a_text_without_a_mask_is_refused(whole: Path) -> None:
    with pytest.raises(FillMaskError, match=r"has no \[MASK\]"):
        list(fill(whole / "export", ["nothing to fill"], 3))


def test_fill_mask_answers_in_json(whole: Path) -> None:
    shown = bertmill("fill-mask", whole / "export", "a [MASK] b", "--json", "--top", 2)
    assert [len(mask) for mask in json.loads(shown.stdout)["masks"]] == [2]
