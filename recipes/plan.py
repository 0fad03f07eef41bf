"""A recipe -> the stages that carry it out, in order: whoever asks what happens to a document reads this page.

They are declared in cleaning.py (the first two), deduplication.py (up to dedup), repeats.py, decontamination.py (up to
apart), tokenizer.py, rows.py, and shards.py (sources that are token ids, of which only the last
two lines are true).

ingest/<source>       raw files -> documents
filter/<source>       documents -> the ones worth training on
signatures/<source>   documents -> hashes and MinHash bands
catalogue             all signatures -> every document's number, its place in the order of preference
copies                signatures -> documents that are equal to an earlier one
pairs                 signatures -> documents that share a band
candidates, shingles  the documents in a pair -> their sets of shingles
similar               pairs -> those of documents that really are similar
duplicates            copies and similar pairs -> what stands for what, across sources
dedup/<source>        documents -> documents that occur once
line_hashes/<source>  documents -> hashes of their lines, sorted
repeated_lines        the hashes -> those of lines that too many documents of a site have
lines/<source>        documents -> documents without those lines
anchors/<source>      documents -> a few hashes of each, by which repeated passages are found
recurring             the anchors -> those that stand at several places
passages/<source>     documents -> the parts of them in which something can be repeated
windows/<source>      passages -> the hashes of all their runs of 50 tokens
firsts                the windows -> where each that is repeated stands first
substrings/<source>   documents -> documents without what stands earlier
evaluation            evaluation files -> an index of their n-grams
contaminated          documents -> where those stand, and which documents hold an evaluation text
decontaminate/<source>   documents -> documents without evaluation texts
reserved              documents -> what the ones held out for evaluation are recognised by
apart/<source>        documents -> documents that do not resemble a held-out one
shares                the documents' sizes -> the mixes of phases that go by temperature
words/<source>        a sample of the documents -> how often each word occurs
tokenizer             the words of all sources -> tokenizer.json
pack/<source>/<context>   documents -> rows of tokens
heldout/<source>      the documents kept out of training -> rows for evaluation
"""

from __future__ import annotations

from pipeline.settings import Near
from pipeline.stage import Stage
from recipes.cleaning import filtered, ingested
from recipes.decontamination import apart_from_held_out, without_evaluation_texts
from recipes.deduplication import Deduplication
from recipes.recipe import Recipe
from recipes.repeats import without_repeated_lines, without_repeated_substrings
from recipes.rows import held_out, packed
from recipes.settle import shares
from recipes.shards import held_out_chunks, packed_chunks
from recipes.tokenizer import tokenizer


def documents(recipe: Recipe) -> tuple[list[Stage], dict[str, Stage]]:
    """Everything up to the documents that rows are made of, and the stage that leaves those of each source."""
    raw = {name: ingested(name, source, recipe.unit) for name, source in sorted(recipe.texts.items())}
    clean = {name: filtered(name, recipe.texts[name], stage) for name, stage in raw.items()}
    through: list[Stage] = [*raw.values(), *clean.values()]
    if clean and (recipe.dedup.exact or recipe.dedup.near):
        more, clean = Deduplication(recipe.dedup, clean).stages()
        through += more
    if recipe.dedup.lines:
        more, clean = without_repeated_lines(recipe.dedup.lines, recipe.compared_by_line, clean)
        through += more
    if recipe.dedup.substrings:
        more, clean = without_repeated_substrings(recipe.dedup.substrings, recipe.dedup.prefer, clean)
        through += more
    if recipe.decontaminate:
        more, clean = without_evaluation_texts(recipe.decontaminate, clean)
        through += more
    if clean and recipe.packing.holdout and recipe.packing.holdout_apart:
        more, clean = apart_from_held_out(recipe.packing.holdout, recipe.dedup.near or Near(), clean)
        through += more
    return through, clean


def stages(recipe: Recipe) -> list[Stage]:
    """Everything up to the rows, each stage after those it reads."""
    through, clean = documents(recipe)
    through += shares(recipe, clean)
    *more, trained = tokenizer(recipe, clean)
    through += more
    rows = [
        packed(recipe, name, context, clean[name], trained)
        if name in clean
        else packed_chunks(recipe, name, context, trained)
        for context in recipe.contexts
        for name in recipe.mixed(context)
    ]
    held = [
        held_out(recipe, name, clean[name], trained) if name in clean else held_out_chunks(recipe, name, trained)
        for name in evaluated(recipe)
    ]
    return [*through, trained, *rows, *held]


def evaluated(recipe: Recipe) -> list[str]:
    """The sources that are evaluated: those that some phase draws from."""
    return sorted({name for context in recipe.contexts for name in recipe.mixed(context)})
