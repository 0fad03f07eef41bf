"""The commands that take models: out, in, averaged, asked, compared. As cli.py: parse, call, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from commands.arguments import Json, on_disk

app = typer.Typer()


@app.command()
def export(
    checkpoint: Annotated[
        Path, typer.Argument(parser=on_disk, metavar="CHECKPOINT", help="A folder in a run's checkpoints/.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The Hugging Face folder to make.")],
    averaged: Annotated[bool, typer.Option("--averaged", help="The running mean of the run's weights.")] = False,
    license_: Annotated[str | None, typer.Option("--license", help="For the card: apache-2.0.")] = None,
    base_model: Annotated[str | None, typer.Option(help="For the card: the model of the Hub it began from.")] = None,
) -> None:
    """A checkpoint -> a folder that `transformers` loads, compared with the checkpoint where it is installed."""
    from commands.release import export_checkpoint

    print(export_checkpoint(checkpoint, folder, averaged=averaged, license_=license_, base_model=base_model))


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="A Hugging Face folder, or a .pt file of FlexBERT.")],
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="The checkpoint to make.")],
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Let a .pt file run what it brings: only if its maker may.")
    ] = False,
) -> None:
    """A Hugging Face folder of a ModernBERT, or FlexBERT's own .pt file -> a checkpoint."""
    from commands.import_ import import_model

    print(import_model(source, checkpoint, trust_pickle=trust_pickle))


@app.command()
def average(
    checkpoints: Annotated[
        list[Path], typer.Argument(parser=on_disk, metavar="CHECKPOINT... OUT", help="Two or more, and the new one.")
    ],
) -> None:
    """Several checkpoints of one model -> a checkpoint of the mean of their weights, to be exported or started from."""
    from commands.average import average as averaged

    print(averaged(checkpoints[:-1], checkpoints[-1]))


@app.command("fill-mask")
def fill_mask(
    model: Annotated[
        Path, typer.Argument(parser=on_disk, metavar="MODEL", help="A checkpoint, or a Hugging Face folder.")
    ],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT...", help="Texts with one or more [MASK] each.")],
    top: Annotated[int, typer.Option(help="Candidates for each mask.")] = 5,
    json_: Json = False,
) -> None:
    """The masked words, best first."""
    from commands.fill_mask import fill, told

    for answer in fill(model, texts, top):
        print(json.dumps(answer, ensure_ascii=False) if json_ else told(answer))


@app.command()
def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="A checkpoint, a Hugging Face folder, or a name on the hub."),
    ],
    on: Annotated[
        Path | None, typer.Option(parser=on_disk, metavar="WORK", help="The run whose held-out text is asked.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Held-out rows of each source; the recipe's number.")] = None,
    context: Annotated[int | None, typer.Option(min=16, help="Tokens that a model sees at a time, at most.")] = None,
    averaged: Annotated[bool, typer.Option("--averaged", help="The mean of a checkpoint's weights.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or cuda:0; the first GPU if there is one.")] = None,
    json_: Json = False,
) -> None:
    """How well encoders of any tokenizer guess the same hidden words of held-out text, in bits per byte."""
    from commands.evaluate import evaluated, questions, run_of, told

    for model in models:
        asked = questions(on or run_of(model), rows)
        found = evaluated(model, asked, context=context, averaged=averaged, device=device)
        print(json.dumps(found) if json_ else told(found), flush=True)


@app.command()
def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs' folders or checkpoints; NAME=DIR gives one a name.")
    ],
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the curves: .svg, .png or .pdf.")] = None,
    mask: Annotated[
        float | None, typer.Option(help="The share of tokens hidden; the first that all were asked.")
    ] = None,
    anyway: Annotated[bool, typer.Option("--anyway", help="Though the runs were asked different questions.")] = False,
    json_: Json = False,
) -> None:
    """Held-out bits per byte of several runs by source: one table, one figure."""
    from commands.compare import compare as compared
    from commands.compare import told
    from commands.figure import draw

    found = compared(runs, mask=mask, anyway=anyway)
    if figure:
        draw(found, figure)
    print(json.dumps(found) if json_ else told(found))
