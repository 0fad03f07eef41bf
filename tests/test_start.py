"""A training begins from what was trained before: as it is, larger, or over other tokens; and leaves it as it was."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from model.bert import Bert
from model.hub import export_hub
from model.initialise import initialise
from model.settings import Shape
from model.tile import tile
from tests.toy_flexbert import optimizer_by_name, saved
from tests.toy_training import SHAPE, tokenizer_at
from train.checkpoint import State, save
from train.optimizer import StableAdamW
from train.settings import Optimizer, Start
from train.start import StartError, begin, check, print_of

WORDS = "model.embeddings.tok_embeddings.weight"
LARGER = replace(SHAPE, layers=7, hidden=48, heads=3, intermediate=64)


def made(shape: Shape = SHAPE, vocab: int = 264, seed: int = 1) -> tuple[Bert, StableAdamW]:
    """A fresh model with its optimizer."""
    model = Bert(shape, vocab)
    initialise(model, seed)
    settings = Optimizer()
    return model, StableAdamW(model.named_parameters(), betas=settings.betas, eps=settings.eps)


def trained(model: Bert, optimizer: StableAdamW, steps: int = 3) -> None:
    for step in range(steps):
        for p in model.parameters():
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(step))
        optimizer.step(lr=1e-2, peak=1e-2, weight_decay=0.0)


def state(model: Bert, **changes: Any) -> State:
    given: dict[str, Any] = {
        "step": 5, "g": 40, "tokens": 2_000, "phase": "learn", "context": 64, "rope": 10_000.0, "local_rope": 10_000.0,
        "finished": False, "loss": 3.0, "evaluation": None, "vocab": model.vocab, "shape": asdict(model.shape),
        "identity": {"seed": 1}, "versions": {}, "t": 3,
    }  # fmt: skip
    return State(**{**given, **changes})


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return tokenizer_at(tmp_path / "tokenizer.json")


@pytest.fixture
def parent(tmp_path: Path, tokenizer: Path) -> Path:
    """A checkpoint of a run that has trained a little."""
    model, optimizer = made()
    trained(model, optimizer)
    return save(tmp_path / "run" / "checkpoints", state(model), model, optimizer, tokenizer)


def weights(model: Bert) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def parent_weights() -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """What `parent` holds: weights and moments."""
    model, optimizer = made()
    trained(model, optimizer)
    return weights(model), {name: tensor.clone() for name, tensor in optimizer.state().items()}


def test_weights_moments_and_count_of_our_checkpoint_go_on(parent: Path, tokenizer: Path) -> None:
    model, optimizer = made(seed=9)
    told = begin(Start(from_=str(parent)), model, optimizer, tokenizer)
    theirs, moments = parent_weights()
    assert equal(weights(model), theirs)
    assert equal(optimizer.state(), moments)
    assert optimizer.t == 3
    assert told == f"started from {parent}: the optimizer's moments go on after 3 steps"


def test_beginning_again_gives_the_same_whatever_was_learned_in_between(parent: Path, tokenizer: Path) -> None:
    for kind in ("keep", "fresh"):
        model, optimizer = made(seed=9)
        start = Start(from_=str(parent), optimizer=kind)
        first = begin(start, model, optimizer, tokenizer)
        before, moments, count = weights(model), {k: v.clone() for k, v in optimizer.state().items()}, optimizer.t
        trained(model, optimizer)
        assert begin(start, model, optimizer, tokenizer) == first
        assert equal(weights(model), before)
        assert equal(optimizer.state(), moments)
        assert optimizer.t == count == (3 if kind == "keep" else 0)
        if kind == "fresh":
            assert not any(tensor.any() for tensor in moments.values())


def test_a_training_that_goes_on_with_moments_takes_the_steps_that_the_parent_would_have(
    parent: Path, tokenizer: Path
) -> None:
    model, optimizer = made(seed=9)
    begin(Start(from_=str(parent)), model, optimizer, tokenizer)
    undisturbed, its = made()
    trained(undisturbed, its)
    for of, by in ((model, optimizer), (undisturbed, its)):
        trained(of, by, steps=2)
    assert equal(weights(model), weights(undisturbed))


def test_a_hugging_face_folder_and_a_pt_file_give_the_same_start(tmp_path: Path, tokenizer: Path) -> None:
    model, optimizer = made()
    trained(model, optimizer)
    model.set_rope(160_000.0, 10_000.0)
    export_hub(model, tmp_path / "hub", tokenizer, 8192)
    moments = optimizer.state()
    torch.save(saved(model, tokenizer, optimizer=optimizer_by_name(moments, 3)), tmp_path / "a.pt")
    for path in (tmp_path / "hub", tmp_path / "a.pt"):
        fresh, its = made(seed=9)
        told = begin(Start(from_=str(path)), fresh, its, tokenizer, rope=(10_000.0, 10_000.0))
        assert equal(weights(fresh), weights(model))
        assert its.t == 0
        assert told == (
            f"started from {path}: fresh moments; "
            "RoPE bases were 160000 and 10000, are 10000 and 10000 in the first phase"
        )
    fresh, its = made(seed=9)
    begin(Start(from_=str(tmp_path / "a.pt"), optimizer="keep"), fresh, its, tokenizer)
    assert equal(its.state(), moments)
    assert its.t == 3


def test_a_pt_file_without_a_tokenizer_takes_the_one_beside_it(tmp_path: Path, tokenizer: Path) -> None:
    (tmp_path / "far").mkdir()
    model, _ = made()
    torch.save(saved(model), tmp_path / "far" / "a.pt")
    start = Start(from_=str(tmp_path / "far" / "a.pt"))
    with pytest.raises(
        StartError, match=r"tokenizer\.json: cannot be read .*put the tokenizer\.json of the model there"
    ):
        check(start, SHAPE, tokenizer)
    shutil.copy(tokenizer, tmp_path / "far")
    check(start, SHAPE, tokenizer)


@pytest.mark.parametrize("layers", ["by-kind", "by-depth"])
def test_a_smaller_model_is_tiled_and_its_moments_are_left(parent: Path, tokenizer: Path, layers: Any) -> None:
    model, optimizer = made(LARGER, seed=9)
    start = Start(from_=str(parent), layers=layers)
    check(start, LARGER, tokenizer)
    told = begin(start, model, optimizer, tokenizer)
    assert equal(weights(model), tile(parent_weights()[0], SHAPE, LARGER, layers))
    assert optimizer.t == 0
    assert told == f"started from {parent}: tiled from 4 layers of 32 to 7 layers of 48, {layers}; fresh moments"


def test_dropout_and_the_width_of_fresh_weights_may_differ(parent: Path, tokenizer: Path) -> None:
    model, optimizer = made(replace(SHAPE, dropout=0.0, init_std=0.1), seed=9)
    begin(Start(from_=str(parent)), model, optimizer, tokenizer)
    assert optimizer.t == 3


def test_an_extended_tokenizer_gives_new_pieces_the_mean_of_their_parts(
    tmp_path: Path, parent: Path, tokenizer: Path
) -> None:
    plain = json.loads(tokenizer.read_text())
    vocab = plain["model"]["vocab"]
    parts = (vocab["c"], vocab["a"], vocab["t"])
    plain["model"]["merges"] += [["c", "a"], ["ca", "t"]]
    plain["model"]["vocab"] |= {token["content"]: token["id"] for token in plain["added_tokens"]}
    plain["model"]["vocab"] |= {"ca": 264, "cat": 265}
    plain["added_tokens"] += [{**plain["added_tokens"][-1], "id": 266, "content": "[unused3]"}]
    (tmp_path / "new").mkdir()
    new = tmp_path / "new" / "tokenizer.json"
    new.write_text(json.dumps(plain))
    told = {"264": list(parts[:2]), "265": list(parts)}
    (new.parent / "parts.json").write_text(json.dumps({"ids": 267, "parts": told}))
    model, optimizer = made(vocab=267, seed=9)
    line = begin(Start(from_=str(parent)), model, optimizer, new)
    assert "of 267 tokens 264 keep their row, 2 begin as the mean of their parts, 1 as the mean of all" in line
    assert optimizer.t == 0
    theirs = parent_weights()[0]
    for name in (WORDS, "decoder.bias"):
        ours, old = weights(model)[name], theirs[name]
        assert torch.equal(ours[:264], old)
        assert torch.equal(ours[265], old[list(parts)].mean(dim=0))
        assert torch.equal(ours[266], old.mean(dim=0))
    assert torch.equal(weights(model)["head.dense.weight"], theirs["head.dense.weight"])
    with pytest.raises(StartError, match="its moments are of another shape or vocabulary"):
        begin(Start(from_=str(parent), optimizer="keep"), model, optimizer, new)
    (new.parent / "parts.json").write_text(json.dumps({"ids": 267, "parts": {"12": [1]}}))
    with pytest.raises(StartError, match=r"parts\.json: does not belong to"):
        begin(Start(from_=str(parent)), model, optimizer, new)


def test_another_tokenizer_takes_rows_by_token_wherever_they_stand(tmp_path: Path, parent: Path) -> None:
    (tmp_path / "other").mkdir()
    other = tokenizer_at(tmp_path / "other" / "tokenizer.json", merges=20)
    new = Tokenizer.from_file(str(other))
    size = 1 + max(new.get_vocab().values())
    old = Tokenizer.from_file(str(parent / "tokenizer.json"))
    model, optimizer = made(vocab=size, seed=9)
    line = begin(Start(from_=str(parent)), model, optimizer, other)
    theirs = parent_weights()[0]
    added = {token.content for token in new.get_added_tokens_decoder().values()}
    kept = cut = 0
    for token, id_ in new.get_vocab().items():
        row = weights(model)[WORDS][id_]
        if token in old.get_vocab():
            assert torch.equal(row, theirs[WORDS][old.token_to_id(token)]), token
            kept += 1
        else:
            assert token not in added
            letters = [old.token_to_id(letter) for letter in token]  # the old one has no merges
            assert torch.allclose(row, theirs[WORDS][letters].mean(dim=0)), token
            cut += 1
    assert kept == 264
    assert cut > 10
    assert (
        f"of {size} tokens {kept} keep their row, {cut} begin as the mean of their parts, 0 as the mean of all" in line
    )


def test_a_tokenizer_that_shares_too_little_is_refused_unless_asked(tmp_path: Path, tokenizer: Path) -> None:
    (tmp_path / "other").mkdir()
    merged = tokenizer_at(tmp_path / "other" / "tokenizer.json", merges=60)
    model, optimizer = made()
    found = save(tmp_path / "run" / "checkpoints", state(model), model, optimizer, tokenizer)
    start = Start(from_=str(found), shared=0.95)
    with pytest.raises(StartError, match=rf"knows 8\d\.\d% of the tokens of {merged}, not 95%; .*shared: 0\.8"):
        check(start, SHAPE, merged)
    check(replace(start, shared=0.5), SHAPE, merged)
    with pytest.raises(StartError, match=r"not those of the tokenizer that the recipe trains; write tokenizer: \{from"):
        check(start, SHAPE, None)
    check(replace(start, shared=0), SHAPE, None)


def test_the_parent_is_never_written_to(tmp_path: Path, parent: Path, tokenizer: Path) -> None:
    export_hub(made()[0], tmp_path / "hub", tokenizer, 64)
    torch.save(saved(made()[0], tokenizer), tmp_path / "files.pt")
    folders = (parent, tmp_path / "hub", tmp_path / "files.pt")

    def prints() -> dict[Path, tuple[str, int]]:
        files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
        return {path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}

    before = prints()
    for path in folders:
        for shape in (SHAPE, LARGER):
            model, optimizer = made(shape, seed=9)
            start = Start(from_=str(path))
            check(start, shape, tokenizer)
            print_of(start)
            begin(start, model, optimizer, tokenizer)
            trained(model, optimizer, steps=1)
    assert prints() == before


def test_the_print_tells_weights_not_places(tmp_path: Path, parent: Path, tokenizer: Path) -> None:
    shutil.copytree(parent, tmp_path / "copy")
    start = Start(from_=str(parent))
    assert print_of(start) == print_of(replace(start, from_=str(tmp_path / "copy")))
    model, optimizer = made(seed=3)
    other = save(tmp_path / "other", state(model), model, optimizer, tokenizer)
    several = {
        print_of(start), print_of(replace(start, from_=str(other))), print_of(replace(start, optimizer="fresh")),
        print_of(replace(start, layers="by-depth")),
    }  # fmt: skip
    assert len(several) == 4
    export_hub(model, tmp_path / "hub", tokenizer, 64)
    torch.save(saved(model, tokenizer), tmp_path / "a.pt")
    for path, file in ((tmp_path / "hub", "model.safetensors"), (tmp_path / "a.pt", "")):
        first = print_of(Start(from_=str(path)))
        written = path / file if file else path
        written.write_bytes(written.read_bytes()[:-2] + b"??")
        assert print_of(Start(from_=str(path))) != first


def spoiled(parent: Path, how: Callable[[Path], Any]) -> Path:
    how(parent)
    return parent


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (lambda p: shutil.rmtree(p), "there is no such checkpoint, folder or .pt file"),
        (lambda p: (p / "state.json").unlink(), r"is no finished checkpoint \(it has no state\.json\)"),
        (lambda p: (p / "state.json").write_text("{"), r"state\.json: is damaged"),
        (lambda p: (p / "model.safetensors").unlink(), r"model\.safetensors is missing; take another checkpoint"),
        (lambda p: (p / "optimizer.safetensors").unlink(), r"optimizer\.safetensors is missing"),
        (lambda p: (p / "model.safetensors").write_bytes(b"x" * 500), r"is damaged \(model\.safetensors is not what"),
        (lambda p: (p / "optimizer.safetensors").write_bytes(b""), r"is damaged \(optimizer\.safetensors is not what"),
        (lambda p: (p / "tokenizer.json").write_text("{}"), r"its tokenizer\.json is none"),
        (lambda p: (p / "tokenizer.json").unlink(), r"tokenizer\.json: cannot be read"),
        (lambda p: [one.unlink() for one in p.iterdir()], "is no checkpoint .* and no Hugging Face folder"),
    ],
)
def test_a_start_that_is_broken_is_told_in_a_line(
    parent: Path, tokenizer: Path, how: Callable[[Path], Any], told: str
) -> None:
    model, optimizer = made(seed=9)
    start = Start(from_=str(spoiled(parent, how)))
    with pytest.raises(StartError, match=told) as fault:
        begin(start, model, optimizer, tokenizer)
    assert "\n" not in str(fault.value)
    assert str(fault.value).startswith(str(parent))


def test_a_runs_folder_names_its_newest_checkpoint(parent: Path, tokenizer: Path) -> None:
    for folder in (parent.parent, parent.parents[1]):
        with pytest.raises(StartError, match=rf"is a run, not a checkpoint; its newest is {parent}$"):
            check(Start(from_=str(folder)), SHAPE, tokenizer)


def test_another_shape_is_refused_before_any_weight_is_read(parent: Path, tokenizer: Path) -> None:
    (parent / "model.safetensors").write_bytes(b"")
    for change, told in (
        ({"layers": 1}, "layers cannot shrink from 4 to 1"),
        ({"window": 32}, "window is 16 there and 32 here"),
        ({"heads": 4}, "heads are 16 wide there and 8 here"),
    ):
        with pytest.raises(StartError, match=f"cannot become the recipe's model: {told}"):
            check(Start(from_=str(parent)), replace(SHAPE, **change), tokenizer)
    with pytest.raises(StartError, match="its moments are of another shape or vocabulary"):
        check(Start(from_=str(parent), optimizer="keep"), LARGER, tokenizer)


def test_moments_that_are_asked_for_and_not_there_are_missed(tmp_path: Path, tokenizer: Path) -> None:
    export_hub(made()[0], tmp_path / "hub", tokenizer, 64)
    with pytest.raises(StartError, match="has no optimizer's state"):
        check(Start(from_=str(tmp_path / "hub"), optimizer="keep"), SHAPE, tokenizer)


def test_a_model_of_fewer_ids_than_its_tokenizer_is_refused(tmp_path: Path, tokenizer: Path) -> None:
    model, _ = made(vocab=260)
    torch.save(saved(model, tokenizer), tmp_path / "a.pt")
    with pytest.raises(StartError, match="its tokenizer has 264 ids, its model 260"):
        check(Start(from_=str(tmp_path / "a.pt")), SHAPE, tokenizer)


def test_rows_beyond_the_tokenizers_ids_are_left_behind(tmp_path: Path, tokenizer: Path) -> None:
    padded, _ = made(vocab=320)
    torch.save(saved(padded, tokenizer), tmp_path / "a.pt")
    model, optimizer = made(seed=9)
    begin(Start(from_=str(tmp_path / "a.pt")), model, optimizer, tokenizer)
    assert torch.equal(weights(model)[WORDS], weights(padded)[WORDS][:264])


@pytest.mark.parametrize(
    ("given", "told"), [({"from_": ""}, "from names a checkpoint's folder"), ({"from_": "a", "shared": 2}, "shared is")]
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Start(**given)
