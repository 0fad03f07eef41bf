import json
from pathlib import Path

import pytest
import torch

from commands.fill_mask import FillMaskError, fill
from commands.release import export_checkpoint, import_folder
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


def test_a_checkpoint_exported_and_imported_is_the_same_model(whole: Path, tmp_path: Path) -> None:
    checkpoint = newest(whole / "checkpoints")
    assert checkpoint
    export_checkpoint(checkpoint.folder, tmp_path / "hub")
    import_folder(tmp_path / "hub", tmp_path / "again")
    again = open_checkpoint(tmp_path / "again")
    assert again.state.context == checkpoint.state.context
    for (name, ours), (_, theirs) in zip(
        checkpoint.model().state_dict().items(), again.model().state_dict().items(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    export_checkpoint(tmp_path / "again", tmp_path / "twice")
    for path in (tmp_path / "hub").iterdir():
        assert path.read_bytes() == (tmp_path / "twice" / path.name).read_bytes()


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
