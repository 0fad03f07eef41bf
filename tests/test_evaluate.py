"""Bits per byte of held-out text are what they say, and the same each time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.attention import Segments
from model.bert import Bert
from model.initialise import initialise
from packing.encode import Encoder
from packing.shards import Shards, write_index
from tests.toy_training import SHAPE, shards_at, tokenizer_at
from train.batches import lay
from train.evaluate import evaluate
from train.masking import key_of, words_of
from train.settings import Evaluate

CPU = torch.device("cpu")


class Data:
    def __init__(self, base: Path) -> None:
        path = tokenizer_at(base / "tokenizer.json", merges=100)
        self.words, self.token_bytes = words_of(path), Encoder(path).token_bytes()
        self.heldout = {name: Shards(shards_at(base / name, path, name, 64, range(60))) for name in ("web", "code")}
        self.model = Bert(SHAPE, len(self.token_bytes))
        initialise(self.model, 3)
        with torch.no_grad():  # a model that prefers something
            self.model.decoder.bias.copy_(torch.linspace(-1, 1, len(self.token_bytes)))

    def scores(self, settings: Evaluate) -> dict[str, object]:
        return dict(
            evaluate(self.model, self.heldout, settings, words=self.words, token_bytes=self.token_bytes, device=CPU)
        )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    return Data(tmp_path_factory.mktemp("evaluate"))


def test_scores_equal_those_of_one_row_at_a_time_summed_by_hand(data: Data) -> None:
    scores = evaluate(
        data.model,
        data.heldout,
        Evaluate(rows=9, masks=(0.2, 0.05)),
        words=data.words,
        token_bytes=data.token_bytes,
        device=CPU,
    )
    for name, rows in data.heldout.items():
        assert list(scores[name]) == ["0.2", "0.05"], "the first rate stays the first"
        for rate in (0.2, 0.05):
            score = scores[name][str(rate)]
            bits = right = guessed = size = 0.0
            for number in range(9):
                key = key_of("evaluate", name)
                part = lay(rows.rows([number]), np.array([number]), rate=rate, words=data.words, key=key)
                segments = Segments.of(part.cu_seqlens.diff().tolist())
                with torch.no_grad():
                    logits = data.model.eval()(part.input_ids, segments, part.masked).double().log_softmax(-1)
                bits -= float(logits[range(len(part.labels)), part.labels].sum()) / math.log(2)
                right += float((logits.argmax(-1) == part.labels).sum())
                guessed += len(part.labels)
                size += int(data.token_bytes[part.labels.numpy()].sum())
            assert (score.guessed, score.bytes) == (guessed, size)
            assert score.bits_per_byte == pytest.approx(bits / size, rel=1e-5)
            assert score.loss == pytest.approx(bits * math.log(2) / guessed, rel=1e-5)
            assert score.accuracy == right / guessed
    assert data.token_bytes.max() > 1, "tokens of several bytes are among them"


def test_what_was_asked_differs_by_source_rate_and_rows_and_not_by_model(data: Data) -> None:
    def asked(model: Bert, **changes: Any) -> set[str]:
        scores = evaluate(
            model, data.heldout, Evaluate(**changes), words=data.words, token_bytes=data.token_bytes, device=CPU
        )
        return {score.asked for of in scores.values() for score in of.values()}

    other = Bert(SHAPE, len(data.token_bytes))
    initialise(other, 9)
    first = asked(data.model, rows=4)
    assert len(first) == 4
    assert asked(other, rows=4) == first
    assert not asked(data.model, rows=5) & first
    assert len(asked(data.model, rows=4, masks=(0.3, 0.5)) & first) == 2


def test_a_model_that_knows_nothing_pays_the_logarithm_of_its_words(data: Data) -> None:
    """Each token costs log2(V) bits, spread over its bytes."""
    flat = Bert(SHAPE, len(data.token_bytes))
    initialise(flat, 1)
    with torch.no_grad():
        flat.decoder.weight.zero_()
    scores = evaluate(flat, data.heldout, Evaluate(rows=4), words=data.words, token_bytes=data.token_bytes, device=CPU)
    assert scores["web"]["0.15"].loss == pytest.approx(math.log(len(data.token_bytes)), rel=1e-6)
    assert scores["web"]["0.15"].bits_per_byte < math.log2(len(data.token_bytes))


def test_two_evaluations_are_equal_and_leave_modes_weights_and_random_numbers_alone(data: Data) -> None:
    before = {name: p.detach().clone() for name, p in data.model.named_parameters()}
    for training in (True, False):
        data.model.train(training)
        torch.manual_seed(1)
        first = data.scores(Evaluate(rows=5))
        torch.manual_seed(2)
        assert data.scores(Evaluate(rows=5)) == first
        assert data.model.training is training
        torch.manual_seed(1)
        expected = torch.rand(2)
        torch.manual_seed(1)
        data.scores(Evaluate(rows=5))
        assert torch.equal(torch.rand(2), expected)
    for name, p in data.model.named_parameters():
        assert torch.equal(p, before[name])
        assert p.grad is None


def test_more_rows_than_there_are_means_all_and_none_means_no_score(data: Data, tmp_path: Path) -> None:
    everything = data.scores(Evaluate(rows=len(data.heldout["web"])))
    assert data.scores(Evaluate(rows=10_000))["web"] == everything["web"]
    write_index(tmp_path, [])
    found = evaluate(
        data.model,
        {"web": data.heldout["web"], "none": Shards(tmp_path)},
        Evaluate(rows=3),
        words=data.words,
        token_bytes=data.token_bytes,
        device=CPU,
    )
    assert set(found) == {"web"}
