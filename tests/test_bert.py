"""The whole encoder: its sizes, and that a flat batch is each of its documents alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from model.attention import Segments
from model.bert import Bert
from model.initialise import initialise
from model.settings import BASE, LARGE, Shape

torch.set_num_threads(1)  # work this small is slower on two busy cores than on one

SHAPE = Shape(layers=4, hidden=64, heads=4, intermediate=96, window=32)
VOCAB = 120
LENGTHS = [90, 1, 40, 17, 130]


def lively(shape: Shape = SHAPE) -> Bert:
    """A model in float64 whose every tensor matters: norms are not one, biases not zero, attention not flat."""
    model = Bert(shape, VOCAB).double().eval()
    initialise(model, seed=17)
    generator = torch.Generator().manual_seed(17)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(torch.randn(tensor.shape, dtype=tensor.dtype, generator=generator), alpha=0.1)
    return model


def words(count: int) -> Tensor:
    return torch.randint(VOCAB, (count,), generator=torch.Generator().manual_seed(5))


def loss_of(model: Bert, ids: Tensor, lengths: list[int], masked: Tensor) -> Tensor:
    logits = model(ids, Segments.of(lengths), masked)
    return F.cross_entropy(logits, ids[masked], reduction="sum")


def test_documents_packed_end_to_end_give_the_logits_of_each_alone() -> None:
    model, ids = lively(), words(sum(LENGTHS))
    packed = model(ids, Segments.of(LENGTHS))
    alone = [model(document, Segments.of([len(document)])) for document in torch.split(ids, LENGTHS)]
    assert packed.shape == (sum(LENGTHS), VOCAB)
    torch.testing.assert_close(packed, torch.cat(alone), rtol=0, atol=1e-10)


def test_a_word_changes_its_own_document_and_no_other() -> None:
    model, ids = lively(), words(sum(LENGTHS))
    other = ids.clone()
    other[95] = (other[95] + 1) % VOCAB  # in the third document, tokens 91 to 130
    changed = (model(ids, Segments.of(LENGTHS)) - model(other, Segments.of(LENGTHS))).abs().amax(1) > 0
    assert changed.nonzero().flatten().tolist() == list(range(91, 131))


def test_asking_for_the_masked_places_gives_the_same_logits_and_gradients_as_taking_them_from_all() -> None:
    model, ids = lively(), words(sum(LENGTHS))
    masked = torch.tensor([0, 3, 90, 91, 130, 147, 148, 277])
    few = model(ids, Segments.of(LENGTHS), masked)
    every = model(ids, Segments.of(LENGTHS))
    torch.testing.assert_close(few, every[masked], rtol=0, atol=1e-10)

    parameters = list(model.parameters())
    slopes = torch.autograd.grad(F.cross_entropy(few, ids[masked]), parameters)
    expected = torch.autograd.grad(F.cross_entropy(every[masked], ids[masked]), parameters)
    for slope, other in zip(slopes, expected, strict=True):
        torch.testing.assert_close(slope, other, rtol=1e-9, atol=1e-12)


def test_gradients_of_a_packed_batch_are_the_sum_over_its_documents() -> None:
    model, ids = lively(), words(130)
    loss_of(model, ids, [90, 40], torch.tensor([5, 80, 100])).backward()  # type: ignore[no-untyped-call]
    packed = {name: t.grad for name, t in model.named_parameters()}
    model.zero_grad()
    loss_of(model, ids[:90], [90], torch.tensor([5, 80])).backward()  # type: ignore[no-untyped-call]
    loss_of(model, ids[90:], [40], torch.tensor([10])).backward()  # type: ignore[no-untyped-call]
    for name, tensor in model.named_parameters():
        torch.testing.assert_close(packed[name], tensor.grad, rtol=1e-9, atol=1e-12)


def test_dropout_acts_where_seeds_are_given_and_by_them_alone() -> None:
    model, ids, segments = lively(), words(60), Segments.of([60])
    one, two = (torch.arange(60, dtype=torch.int32) * 7919 + start for start in (1, 2))
    still = model.train()(ids, segments)
    assert torch.equal(still, model.eval()(ids, segments))
    dropped = model(ids, segments, seeds=one)
    assert torch.equal(dropped, model.train()(ids, segments, seeds=one))
    assert not torch.equal(dropped, model(ids, segments, seeds=two))
    assert not torch.equal(dropped, still)


def test_what_is_dropped_does_not_depend_on_the_documents_beside_it() -> None:
    model, ids = lively(), words(130)
    seeds = torch.arange(130, dtype=torch.int32) * 7919
    places = torch.tensor([95, 120])
    together = model(ids, Segments.of([90, 40]), places, seeds)
    alone = model(ids[90:], Segments.of([40]), places - 90, seeds[90:])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-12)


def test_a_shape_without_dropout_trains_as_it_evaluates() -> None:
    model, ids = lively(Shape(layers=4, hidden=64, heads=4, intermediate=96, dropout=0.0)), words(60)
    seeds = torch.arange(60, dtype=torch.int32)
    assert torch.equal(model(ids, Segments.of([60])), model(ids, Segments.of([60]), seeds=seeds))


def test_a_longer_context_changes_the_rope_of_global_layers_alone() -> None:
    one = lively(Shape(layers=1, hidden=64, heads=4, intermediate=96))  # its only layer is global
    ids, segments = words(60), Segments.of([60])
    before = one(ids, segments)
    one.set_rope(10_000.0, 500.0)
    assert torch.equal(one(ids, segments), before)
    one.set_rope(160_000.0, 10_000.0)
    assert one.thetas == (160_000.0, 10_000.0)
    assert not torch.equal(one(ids, segments), before)

    four = lively()
    before = four(ids, segments)
    four.set_rope(10_000.0, 500.0)
    assert not torch.equal(four(ids, segments), before)


@pytest.mark.parametrize("thetas", [(160_000.0, -1.0), (0.0, 10_000.0), (float("nan"), 10_000.0)])
def test_a_rope_base_that_gives_no_angles_is_refused(thetas: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="RoPE bases must be above 1"):
        lively().set_rope(*thetas)


def test_every_parameter_is_reached_by_the_loss() -> None:
    model = lively()
    loss_of(model, words(200), [200], torch.arange(0, 200, 3)).backward()  # type: ignore[no-untyped-call]
    assert [name for name, t in model.named_parameters() if t.grad is None or not t.grad.any()] == []


@pytest.mark.parametrize(("shape", "count"), [(BASE, 149_655_232), (LARGE, 395_881_664)])
def test_the_published_sizes_have_the_published_numbers_of_parameters(shape: Shape, count: int) -> None:
    with torch.device("meta"):
        model = Bert(shape, 50_368)
    assert sum(t.numel() for t in model.parameters()) == shape.parameters(50_368) == count


@pytest.mark.parametrize(
    ("shape", "context", "millions"),
    [(BASE, 1024, 824.1), (BASE, 8192, 1353.0), (LARGE, 1024, 2307.1), (LARGE, 8192, 3188.7)],
)
def test_arithmetic_of_a_token_is_that_of_the_published_sizes(shape: Shape, context: int, millions: float) -> None:
    rows = [context] * 10  # 30 % masked
    flops = shape.training_flops(rows, masked=3 * context, vocab=50_368)
    assert flops / sum(rows) / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize("length", [1, 2, 16, 17, 18, 33, 200])
def test_arithmetic_counts_exactly_the_pairs_that_the_window_shows(length: int) -> None:
    place = torch.arange(length)
    pairs = int(((place[:, None] - place).abs() <= SHAPE.reach).sum())
    per_pair = 12 * SHAPE.hidden
    expected = per_pair * (2 * length**2 + 2 * pairs) + 6 * length * SHAPE.matrix_parameters
    assert SHAPE.training_flops([length], masked=0, vocab=VOCAB) == expected


@pytest.mark.parametrize(
    ("wrong", "mend"),
    [
        ({"hidden": 100}, "hidden 100 is not a multiple of heads 8"),
        ({"hidden": 24}, "hidden / heads = 3 is odd; make it even"),
        ({"layers": 6}, "with global_every 3 make layers 4 or 7, not 6"),
        ({"layers": 0}, "layers must be at least 1, not 0"),
        ({"window": 127}, "window 127 must be even"),
        ({"window": 0}, "window 0 must be even and at least 2"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"norm_eps": 0.0}, "norm_eps must be above 0"),
    ],
)
def test_a_shape_that_makes_no_modernbert_is_refused_with_the_mend(wrong: dict[str, float], mend: str) -> None:
    sound: dict[str, float] = {"layers": 4, "hidden": 64, "heads": 8, "intermediate": 96}
    with pytest.raises(ValueError, match=mend):
        Shape(**(sound | wrong))  # type: ignore[arg-type]
