"""bertmill's commands: parse, call, print; nothing else. Heavy imports wait for the command that needs them."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from commands.arguments import Json, Processes, RecipePath, Redo, Tasks, Where, Work, Workers, on_disk, opened_at
from commands.models import app as models

app = typer.Typer(
    help="From raw web, code and science to a trained ModernBERT, in one recipe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def sample(folder: Annotated[Path, typer.Argument(metavar="DIR", help="An empty or new folder.")]) -> None:
    """Put text of this Python installation into WARC, Parquet, JATS and LaTeX: the quickstart's raw files."""
    from pipeline.sample import sample as make

    for kind, count in make(folder).items():
        print(f"  {kind:16} {count:>12,}")


@app.command()
def plan(recipe: RecipePath, work: Work = None, json_: Json = False) -> None:
    """What will be made, in order, and what it takes; refuses what the sources cannot give."""
    from commands import report
    from commands.run import home
    from recipes import ready
    from recipes.load import load
    from recipes.mixture import check
    from recipes.plan import stages
    from recipes.supply import outlook

    asked = load(recipe)
    workspace = home(asked, work)
    found = outlook(asked, workspace)
    declared = stages(asked)
    records = report.records(workspace, declared)
    notes = report.notes(found, declared, workspace)
    ready.check(asked)
    if json_:
        print(json.dumps(report.plan_json(found, declared, records, notes), indent=2))
    else:
        print("\n".join([report.plan(found, declared, records), *(f"\n  note: {note}" for note in notes)]))
    check(found)


@app.command()
def run(
    recipe: RecipePath,
    work: Work = None,
    until: Annotated[
        str | None, typer.Option(help="Stop after this stage: filter/web, or pack for all of them.")
    ] = None,
    engine: Where = "local",
    workers: Workers = None,
    tasks: Tasks = None,
    redo: Redo = None,
    processes: Processes = None,
) -> None:
    """Everything to the trained, exported model. Finished work is skipped, cut-off work goes on."""
    from commands.engine import engine_of
    from commands.faults import stoppable
    from commands.last_words import last_words
    from commands.prepare import prepared
    from commands.run import TRAIN, home, only_one
    from commands.train import together
    from recipes.load import load

    asked = load(recipe)
    workspace = home(asked, work)
    with stoppable(), last_words(workspace), only_one(workspace):
        prepared(asked, workspace, until, engine_of(engine, workers, tasks), redo or [])
        if until in (None, TRAIN):
            together(asked, recipe, workspace, processes, export=until is None)


@app.command()
def train(recipe: RecipePath, work: Work = None, processes: Processes = None) -> None:
    """The training alone, on rows that a run has packed. torchrun starts it on several machines."""
    from commands.faults import stoppable
    from commands.run import home, only_one
    from commands.train import as_one_of_several, one_of_several, together
    from recipes.load import load

    asked = load(recipe)
    workspace = home(asked, work)
    with stoppable():
        if one_of_several():
            as_one_of_several(asked, workspace)
            return
        with only_one(workspace):
            together(asked, recipe, workspace, processes, export=False)


@app.command()
def look(
    path: Annotated[
        Path, typer.Argument(parser=opened_at, metavar="PATH", help="A stage's folder, or a file of documents or rows.")
    ],
    count: Annotated[int, typer.Argument(metavar="[N]", help="How many.")] = 5,
    dropped: Annotated[bool, typer.Option("--dropped", help="What the stage dropped, with the reason.")] = False,
    duplicates: Annotated[bool, typer.Option("--duplicates", help="Each duplicate beside what was kept.")] = False,
    contamination: Annotated[
        bool, typer.Option("--contamination", help="What of each evaluation set stood in a run's documents.")
    ] = False,
    packing: Annotated[
        bool, typer.Option("--packing", help="How full the rows of each source are, and what was cut.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Only what was dropped for this reason.")] = None,
    json_: Json = False,
) -> None:
    """Documents, dropped documents with reasons, duplicates side by side, or packed rows decoded with their origins."""
    from commands import contamination as sets
    from commands import look as one
    from commands import packed, pairs

    if packing:
        for rows in packed.packed(path):
            print(json.dumps(rows) if json_ else packed.told(rows))
        return
    if contamination:
        for flagged in sets.contamination(path, count):
            print(json.dumps(flagged, ensure_ascii=False) if json_ else sets.told(flagged))
        return
    told = pairs.told if duplicates else one.told
    found = pairs.pairs(path, count, reason) if duplicates else one.look(path, count, dropped=dropped, reason=reason)
    for item in found:
        print(json.dumps(item, ensure_ascii=False) if json_ else told(item))


@app.command("what-if")
def what_if(
    path: Annotated[
        Path, typer.Argument(parser=on_disk, metavar="PATH", help="A run's folder, or that of a filter stage.")
    ],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE] SETTING=VALUE...", help="Such as web gopher.min_words=40.")
    ] = None,
    json_: Json = False,
) -> None:
    """What a filter stage would drop at other thresholds, from what it measured: nothing runs again."""
    from commands.what_if import told
    from commands.what_if import what_if as counted

    found = counted(path, words or [])
    print(json.dumps(found, indent=2, ensure_ascii=False) if json_ else told(found))


@app.command()
def verify(
    path: Annotated[
        Path, typer.Argument(parser=opened_at, metavar="PATH", help="A run's folder, a stage, shards, or a checkpoint.")
    ],
    json_: Json = False,
) -> None:
    """Check signatures, hashes, counts, rows and index: any changed byte is found and named."""
    from commands.verify import verify as check

    for name, counts in check(path):
        if json_:
            print(json.dumps({"name": name, **counts}))
        else:
            print(f"  {name:28} " + "  ".join(f"{value:,} {key}" for key, value in counts.items()))


@app.command()
def send(
    folder: Annotated[
        Path, typer.Argument(parser=on_disk, metavar="DIR", help="A folder of shards, or one that holds several.")
    ],
    address: Annotated[str, typer.Argument(metavar="URL", help="Where to: s3://bucket/rows, or a folder.")],
    level: Annotated[int, typer.Option(min=1, max=19, help="How hard zstd packs.")] = 3,
) -> None:
    """Pack shards with zstd and put them into a store; what has arrived is not sent again."""
    from commands import shards

    for carried in shards.send(folder, address, level):
        print(shards.told(carried), flush=True)


@app.command()
def fetch(
    address: Annotated[str, typer.Argument(metavar="URL", help="What was sent.")],
    folder: Annotated[Path, typer.Argument(parser=on_disk, metavar="DIR", help="Where to.")],
) -> None:
    """Bring shards from a store, unpacked and as they were; what stands is not brought again."""
    from commands import shards

    for carried in shards.fetch(address, folder):
        print(shards.told(carried), flush=True)


@app.command()
def order(
    recipe: RecipePath,
    rows: Annotated[str, typer.Argument(metavar="FROM:TO", help="Row numbers of the run, the second not included.")],
    work: Work = None,
) -> None:
    """The rows that a stretch of training reads: phase, source, epoch, index (one JSON object a line)."""
    from commands.run import home
    from commands.trace import ordered
    from recipes.load import load

    asked = load(recipe)
    for row in ordered(asked, home(asked, work), rows):
        print(json.dumps(row))


@app.command()
def trace(
    work: Annotated[Path, typer.Argument(parser=opened_at, metavar="WORK", help="A run's folder.")],
    row: Annotated[int, typer.Argument(metavar="ROW", help="A row number of the run.")],
    json_: Json = False,
) -> None:
    """From a training row back to its documents and raw records."""
    from commands.trace import told, traced

    found = traced(work, row)
    print(json.dumps(found, ensure_ascii=False) if json_ else told(found))


@app.command()
def tokenizer(
    paths: Annotated[
        list[Path],
        typer.Argument(
            parser=on_disk,
            metavar="RECIPE|FILE...",
            help="A recipe, whose run has both, or tokenizer.json files; and files of text to measure on.",
        ),
    ],
    compare: Annotated[
        list[Path] | None, typer.Option(parser=on_disk, metavar="OTHER.json", help="Another tokenizer beside it.")
    ] = None,
    work: Work = None,
    sample_: Annotated[int, typer.Option("--sample", help="Bytes of text taken of each source.")] = 10_000_000,
    json_: Json = False,
) -> None:
    """How well tokenizers fit texts: bytes a token and tokens a word by source and language, ids that nothing uses."""
    from commands.tokenizer import measured, told

    found = measured(paths, compare or [], work, sample_)
    print(json.dumps(found, ensure_ascii=False) if json_ else told(found))


app.add_typer(models)


def main() -> None:
    """The console script: expected faults in one line on stderr and exit code 1; bugs keep their traceback."""
    from commands.faults import expected, plainly, told_of

    warnings.formatwarning = plainly
    # Threads that wait for each other should sleep, not spin: beside one other busy process on two cores, spinning
    # makes training 4 times slower. Read once, when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except expected() as fault:
        print(fault, file=sys.stderr)
        raise SystemExit(1) from None
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as `| head` does
        raise SystemExit(0) from None
    except OSError as fault:
        if (told := told_of(fault)) is None:
            raise
        print(told, file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
