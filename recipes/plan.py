"""A recipe -> the stages that carry it out, in order: whoever asks what happens to a document reads this page.

They are declared in cleaning.py (the first two), deduplication.py (up to dedup) and rows.py.

ingest/<source>       raw files -> documents
filter/<source>       documents -> the ones worth training on
signatures/<source>   documents -> hashes and MinHash bands
duplicates            all signatures -> what is a copy of what, across sources
dedup/<source>        documents -> documents that occur once
tokenizer             a sample of them -> tokenizer.json
pack/<source>/<context>   documents -> rows of tokens
heldout/<source>      the documents kept out of training -> rows for evaluation
"""

from __future__ import annotations

from pipeline.stage import Stage
from recipes.cleaning import filtered, ingested
from recipes.deduplication import deduplicated
from recipes.recipe import Recipe
from recipes.rows import held_out, packed, tokenizer


def stages(recipe: Recipe) -> list[Stage]:
    """Everything up to the rows, each stage after those it reads."""
    raw = {name: ingested(name, source, recipe.unit) for name, source in sorted(recipe.sources.items())}
    clean = {name: filtered(name, recipe.sources[name], stage) for name, stage in raw.items()}
    through: list[Stage] = [*raw.values(), *clean.values()]
    if recipe.dedup.exact or recipe.dedup.near:
        more, clean = deduplicated(recipe, clean)
        through += more
    trained = tokenizer(recipe, clean)
    rows = [
        packed(recipe, name, context, clean[name], trained)
        for context in recipe.contexts
        for name in recipe.mixed(context)
    ]
    held = [held_out(recipe, name, clean[name], trained) for name in evaluated(recipe)]
    return [*through, trained, *rows, *held]


def evaluated(recipe: Recipe) -> list[str]:
    """The sources that are evaluated: those that some phase draws from."""
    return sorted({name for context in recipe.contexts for name in recipe.mixed(context)})
