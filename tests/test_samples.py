"""Masks are filled as the model alone would, whatever wrote its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from model.attention import Segments
from model.bert import Bert
from model.initialise import initialise
from packing.encode import Encoder
from tests.toy_training import SHAPE, tokenizer_at
from train.samples import FillMaskError, fill


@pytest.fixture
def made(tmp_path: Path) -> tuple[Bert, Path]:
    path = tokenizer_at(tmp_path / "tokenizer.json", merges=60)
    model = Bert(SHAPE, Encoder(path).vocab_size)
    initialise(model, 3)
    return model, path


def test_the_likeliest_tokens_are_those_of_the_logits_at_the_mask(made: tuple[Bert, Path]) -> None:
    model, path = made
    encoder = Encoder(path)
    model.train()
    (answer,) = fill(model, path, ["the cat [MASK] the dog"], top=4)
    assert model.training, "the mode is left as it was"
    before, after = encoder.encode(["the cat"])[0].tolist(), encoder.encode([" the dog"])[0].tolist()
    ids = [encoder.cls, *before, encoder.mask, *after, encoder.sep]
    with torch.no_grad():
        logits = model.eval()(torch.tensor(ids), Segments.of([len(ids)]))[1 + len(before)]
    chances, best = logits.softmax(-1).topk(4)
    assert answer["text"] == "the cat [MASK] the dog"
    assert [one["token_id"] for one in answer["masks"][0]] == best.tolist()
    assert [one["probability"] for one in answer["masks"][0]] == pytest.approx(chances.tolist(), abs=1e-6)


def test_a_mask_takes_the_space_before_it_though_the_tokenizer_does_not_say_so(made: tuple[Bert, Path]) -> None:
    model, path = made
    assert not any(token["lstrip"] for token in json.loads(path.read_text())["added_tokens"])
    spaced, joined = fill(model, path, ["the [MASK] sees", "the[MASK] sees"])
    assert spaced["masks"] == joined["masks"]


def test_every_mask_has_its_own_candidates_and_a_sample_is_plain_json(made: tuple[Bert, Path]) -> None:
    model, path = made
    first, second = fill(model, path, ["[MASK] [MASK]", "a [MASK]"], top=10_000)
    assert [len(mask) for mask in first["masks"]] == [model.vocab] * 2
    assert json.loads(json.dumps(second)) == second


def test_a_text_without_a_mask_and_one_too_long_are_refused(made: tuple[Bert, Path]) -> None:
    with pytest.raises(FillMaskError, match=r"^'no mask' has no \[MASK\]; write it in place of the word to guess$"):
        fill(*made, ["no mask"])
    with pytest.raises(FillMaskError, match=r"has \d+ tokens, the model takes 8; shorten it$"):
        fill(*made, ["the cat sees the dog and 1 2 3 [MASK]"], context=8)
