"""Whether `transformers` of several years computes what we compute: logits, loss, gradients, from the same weights.

    python bench/parity.py [VERSION ...]          # or: make parity

Each version stands in an environment of its own (bench/peers.py). Of every case it must open our export, give on
padded batches the logits, the loss and each parameter's gradient that we give on flat ones, to 1e-5 in float32, and
save a folder that we read back as the same model. In bfloat16 it is told how far each of us is from float32 (root mean
square of the difference, in standard deviations of the logits). Any other difference ends with a traceback and exit
code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

VERSIONS = ("transformers-4.48", "transformers-4.57", "transformers-5.0", "transformers-5.23")
CLOSE = 1e-5
"""Of logits and the loss: the largest difference. Of a gradient: the norm of the difference over its norm."""
TEXTS = ("the cat sees the [MASK].", "Aber naïve Grüße — 猫が好き 🐈!\n\tdef f(x):  return x", "")


class Case(NamedTuple):
    """A model and the documents that it reads."""

    shape: dict[str, Any]
    thetas: tuple[float, float]
    lengths: tuple[int, ...]
    vocab: int = 264


SMALL = {"layers": 4, "hidden": 64, "heads": 4, "intermediate": 96}
CASES = {
    "as published": Case(SMALL, (160_000.0, 10_000.0), (300, 77, 200, 5, 64, 65, 129, 1)),
    "before the long phase": Case(SMALL, (10_000.0, 10_000.0), (300, 77, 200)),
    "every second global, window 32": Case(
        SMALL | {"layers": 5, "global_every": 2, "window": 32}, (777.0, 12_345.0), (17, 16, 15, 33, 150)
    ),
    "all global": Case(SMALL | {"layers": 2, "global_every": 1}, (10_000.0, 10_000.0), (140, 260)),
    "all local but two": Case(
        SMALL | {"layers": 7, "global_every": 6, "window": 16, "norm_eps": 1e-6}, (160_000.0, 10_000.0), (90, 9, 8)
    ),
    "one long document": Case(SMALL | {"heads": 2}, (160_000.0, 10_000.0), (2048,)),
    "base": Case(
        {"layers": 22, "hidden": 768, "heads": 12, "intermediate": 1152},
        (160_000.0, 10_000.0),
        (150, 40),
        50_368,
    ),
}


def write(folder: Path, case: Case) -> None:
    """Our model as an export, and what it computes."""
    import torch.nn.functional as F

    from model.attention import Segments
    from model.bert import Bert
    from model.hub import export_hub
    from model.initialise import initialise
    from model.settings import Shape
    from tests.toy_training import PAD, tokenizer_at

    folder.mkdir()
    ours = Bert(Shape(**case.shape), case.vocab).eval()
    initialise(ours, seed=17)
    dice = torch.Generator().manual_seed(17)
    noise = 0.02 * (768 / ours.shape.hidden) ** 0.5
    with torch.no_grad():
        for tensor in ours.parameters():  # no norm is one, no bias zero, attention is not flat
            tensor.add_(torch.randn(tensor.shape, generator=dice), alpha=noise if tensor.dim() > 1 else 0.1)
    ours.set_rope(*case.thetas)
    export_hub(ours, folder / "export", tokenizer_at(folder / "tokenizer.json"), context=max(case.lengths))

    ids = torch.randint(PAD, (sum(case.lengths),), generator=dice)  # theirs gives the padding's word no gradient
    hidden = (torch.rand(len(ids), generator=dice) < 0.3).nonzero().flatten()
    labels = torch.full_like(ids, -100)
    labels[hidden] = torch.randint(PAD, (len(hidden),), generator=dice)
    told = {"ids": ids, "labels": labels, "lengths": torch.tensor(case.lengths)}
    segments = Segments.of(case.lengths)
    with torch.no_grad():
        told["logits"] = ours(ids, segments)
        told["rough"] = deepcopy(ours).to(torch.bfloat16)(ids, segments).float()
    loss = F.cross_entropy(ours(ids, segments, hidden), labels[hidden])
    loss.backward()  # type: ignore[no-untyped-call]
    save_file(told | {"loss": loss.detach()}, folder / "told")
    save_file({name: p.grad for name, p in ours.named_parameters() if p.grad is not None}, folder / "gradients")


def compare(folder: Path) -> dict[str, float]:
    """Run by each version: the largest difference to what `write` told, by kind; leaves its own save beside."""
    from tokenizers import Tokenizer
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    told, gradients = load_file(folder / "told"), load_file(folder / "gradients")
    lengths = told["lengths"].tolist()
    tokenizer = AutoTokenizer.from_pretrained(folder / "export")
    plain = Tokenizer.from_file(str(folder / "export" / "tokenizer.json"))
    assert [tokenizer(text)["input_ids"] for text in TEXTS] == [plain.encode(text).ids for text in TEXTS]

    def padded(flat: Tensor, filler: int) -> Tensor:
        return pad_sequence(list(torch.split(flat, lengths)), batch_first=True, padding_value=filler)

    real = padded(torch.ones_like(told["ids"]), 0).bool()
    asked = {"input_ids": padded(told["ids"], tokenizer.pad_token_id), "attention_mask": real.long()}
    found: dict[str, float] = {}
    with torch.no_grad():
        for attention in ("sdpa", "eager"):
            theirs = AutoModelForMaskedLM.from_pretrained(folder / "export", attn_implementation=attention).eval()
            logits = theirs(**asked).logits[real]
            found[f"logits, {attention}"] = float((logits - told["logits"]).abs().max())
        theirs = AutoModelForMaskedLM.from_pretrained(folder / "export", attn_implementation="sdpa").eval()
        rough = theirs.to(torch.bfloat16)(**asked).logits[real].float()
        size = told["logits"].std()
        for whose, those in (("ours", told["rough"]), ("theirs", rough)):
            found[f"bfloat16 of {whose}"] = float((those - told["logits"]).square().mean().sqrt() / size)

    theirs = AutoModelForMaskedLM.from_pretrained(folder / "export", attn_implementation="sdpa").eval()
    loss = theirs(**asked, labels=padded(told["labels"], -100)).loss
    loss.backward()
    found["loss"] = float((loss.detach() - told["loss"]).abs())
    slopes = {name: p.grad for name, p in theirs.named_parameters()}
    assert slopes.keys() == gradients.keys(), sorted(slopes.keys() ^ gradients.keys())
    found["gradients"] = max(float((gradients[name] - slope).norm() / slope.norm()) for name, slope in slopes.items())
    theirs.save_pretrained(folder / "saved")
    return found


def read_back(folder: Path) -> None:
    """What they saved is the model that we wrote."""
    from model.hub import import_hub

    ours, theirs = import_hub(folder / "export"), import_hub(folder / "saved")
    assert theirs[:4] == ours[:4], (theirs[:4], ours[:4])
    assert ours.weights.keys() == theirs.weights.keys()
    assert all(torch.equal(tensor, theirs.weights[name]) for name, tensor in ours.weights.items())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("versions", nargs="*", metavar="VERSION", default=VERSIONS)
    asked = options.parse_args()
    from bench.peers import ask, python

    with tempfile.TemporaryDirectory() as name:
        for case, given in CASES.items():
            write(Path(name, case), given)
        for version in asked.versions:
            told = ask(python(version), __file__, name)
            for case, found in told["cases"].items():
                print(f"  {told['version']:8} {case:32} {_line(found)}", flush=True)
                wrong = {kind: apart for kind, apart in found.items() if "bfloat16" not in kind and not apart <= CLOSE}
                assert not wrong, f"{version}, {case}: {wrong} is more than {CLOSE}"
                read_back(Path(name, case))


def _line(found: dict[str, float]) -> str:
    return "  ".join(f"{kind} {apart:.1e}" for kind, apart in found.items())


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["--peer"]:
        import transformers

        found = {case: compare(Path(sys.argv[2], case)) for case in CASES}
        print(json.dumps({"version": transformers.__version__, "cases": found}))
    else:
        main()
