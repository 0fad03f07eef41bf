"""What a recipe may say: one frozen dataclass over the words that each package owns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from model.settings import BASE, Shape
from packing.settings import Packing
from pipeline.settings import (
    CodeSource,
    Decontaminate,
    Dedup,
    ScienceSource,
    ShardsSource,
    Source,
    TextSource,
    Tokenizer,
    WebSource,
)
from train.settings import Train

Place = tuple[str | int, ...]


class ContradictionError(ValueError):
    """Parts of a recipe that are sound alone but do not go together: each with the place that should change."""

    def __init__(self, faults: list[tuple[Place, str]]) -> None:
        super().__init__("; ".join(said for _, said in faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """From raw files to a trained model. Keys stand in the order of the journey."""

    __pydantic_config__ = ConfigDict(extra="forbid", arbitrary_types_allowed=False)  # and so for all that is nested

    name: str
    seed: int = 17
    """Of every shuffle, mask and weight. 17 is ModernBERT-base's."""
    unit: int = 256_000_000
    """Bytes of input files that one unit of work takes together; a larger file is a unit of its own."""
    sources: Mapping[
        str, Annotated[WebSource | CodeSource | ScienceSource | TextSource | ShardsSource, Field(discriminator="kind")]
    ]
    dedup: Dedup = field(default_factory=Dedup)
    decontaminate: Decontaminate | None = None
    tokenizer: Tokenizer = field(default_factory=Tokenizer)
    packing: Packing = field(default_factory=Packing)
    model: Shape = BASE
    train: Train

    def __post_init__(self) -> None:
        if faults := list(self._contradictions()):
            raise ContradictionError(faults)

    def _contradictions(self) -> Iterator[tuple[Place, str]]:
        known = sorted(self.sources)
        if not self.name or "/" in self.name or self.name.startswith("."):
            yield ("name",), f"'{self.name}' cannot name a folder; use letters, digits, '-' and '_'"
        if not 0 <= self.seed < 1 << 63:
            yield ("seed",), f"{self.seed} is no seed; take one from 0 to 2**63 - 1, such as 17"
        if self.unit < 1:
            yield ("unit",), f"{self.unit} bytes hold nothing; 256M is usual"
        if not self.sources:
            yield ("sources",), "names no source; give at least one"
        for name in known:
            if not name.replace("-", "").replace("_", "").isalnum():
                yield ("sources", name), f"'{name}' cannot name a folder; use letters, digits, '-' and '_'"
        for name in self.dedup.prefer:
            if name not in self.sources:
                yield ("dedup", "prefer"), f"there is no source '{name}'; the sources are {known}"
        if self.dedup.lines:
            for name in self.dedup.lines.sources:
                if name not in self.sources:
                    yield ("dedup", "lines", "sources"), f"there is no source '{name}'; the sources are {known}"
            if not self.compared_by_line:
                yield ("dedup", "lines"), f"no source is of kind web; name sources: some of {known}"
        yield from self._asked_of_shards()
        for number, phase in enumerate(self.train.phases):
            place = ("train", "phases", number)
            for way, name in phase.named:
                if name not in self.sources:
                    yield (*place, *way), f"phase '{phase.name}' mixes '{name}'; the sources are {known}"
                elif way[:2] == ("temperature", "over") and name in self.shards:
                    said = f"'{name}' is shards of token ids; temperature goes by bytes of text: name it in beside"
                    yield (*place, *way), said
            if self.packing.partition is True and phase.temperature is not None:
                said = (
                    f"true takes its shares from the mixes, and that of phase '{phase.name}' is not known before rows "
                    "are packed; give a share for each context, such as {1024: 0.85, 8192: 0.15}"
                )
                yield ("packing", "partition"), said
            if isinstance(partition := self.packing.partition, Mapping) and phase.context not in partition:
                said = f"context {phase.context} of phase '{phase.name}' has no share; give it one"
                yield ("packing", "partition"), said
            if phase.context < self.packing.shortest + 2:
                yield (
                    (*place, "context"),
                    f"{phase.context} is too short for pieces of {self.packing.shortest} tokens",
                )

        for number, entry in enumerate(self.train.quarantine):
            if entry.context not in self.contexts or entry.source not in self.mixed(entry.context):
                said = f"no phase reads '{entry.source}' at a context of {entry.context}; take the entry out"
                yield ("train", "quarantine", number), said

    def _asked_of_shards(self) -> Iterator[tuple[Place, str]]:
        """What is asked of sources that are token ids, and would need their text."""
        for name in sorted(self.shards):
            if self.tokenizer.from_ is None:
                said = "its ids belong to this tokenizer, but the recipe trains another; write tokenizer: {from: ...}"
                yield ("sources", name, "tokenizer"), said
            for place, named in (
                (("dedup", "prefer"), self.dedup.prefer),
                (("dedup", "lines", "sources"), self.dedup.lines.sources if self.dedup.lines else ()),
            ):
                if name in named:
                    yield place, f"source '{name}' is shards of token ids, which are not compared; take it out"
        if self.shards and not self.texts:
            asked: dict[str, object] = {
                "decontaminate": self.decontaminate,
                "dedup.against": self.dedup.against,
                "dedup.lines": self.dedup.lines,
                "dedup.substrings": self.dedup.substrings,
            }
            for name in [name for name, value in asked.items() if value]:
                yield tuple(name.split(".")), "all sources are shards of token ids, which have no text; take it out"

    @property
    def texts(self) -> dict[str, Source]:
        """The sources that have text, by name: what goes through the stages up to packing."""
        return {name: source for name, source in self.sources.items() if source.kind != "shards"}

    @property
    def shards(self) -> dict[str, ShardsSource]:
        """The sources that are token ids already, by name: they are packed as they are."""
        return {name: source for name, source in self.sources.items() if source.kind == "shards"}

    @property
    def compared_by_line(self) -> list[str]:
        """The sources whose lines are compared, by name."""
        named = self.dedup.lines.sources if self.dedup.lines else ()
        return sorted(named or (name for name, source in self.sources.items() if source.kind == "web"))

    @property
    def contexts(self) -> list[int]:
        """The lengths of rows that the phases ask for, shortest first."""
        return sorted({phase.context for phase in self.train.phases})

    def mixed(self, context: int) -> list[str]:
        """The sources that some phase of this context draws from, by name."""
        phases = [phase for phase in self.train.phases if phase.context == context]
        return sorted({name for phase in phases for name in phase.sources})

    @property
    def temperatures(self) -> dict[str, dict[str, Any]]:
        """What shares will follow from once the sizes of sources are known, by phase: its temperature and tokens."""
        return {
            phase.name: {"tokens": phase.tokens, **asdict(phase.temperature)}
            for phase in self.train.phases
            if phase.temperature
        }

    @property
    def shares(self) -> dict[str, float]:
        """Each source's share of all tokens of the run, as its phases begin: what the tokenizer's sample is drawn by.

        Of `temperatures` the shares are those of sources that are all alike, until `recipes.settle` knows better.
        """
        total = sum(phase.tokens for phase in self.train.phases)
        return {
            name: sum(phase.tokens * phase.planned.get(name, 0.0) for phase in self.train.phases) / total
            for name in sorted(self.sources)
        }
