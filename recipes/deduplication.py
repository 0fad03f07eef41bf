"""Stages: documents -> hashes and MinHash bands -> what is a copy of what -> documents that occur once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.handover import one_unit, same_units, signed_pieces
from pipeline.settings import Dedup, Near
from pipeline.stage import Stage
from pipeline.units import Piece, Unit

if TYPE_CHECKING:
    from pipeline.dedup.catalogue import Holding
    from pipeline.stage import Work


@dataclass(frozen=True)
class Deduplication:
    """The stages over the documents of all sources, which they share."""

    settings: Dedup
    documents: Mapping[str, Stage]
    """Source -> the stage that made its documents."""

    def stages(self) -> tuple[list[Stage], dict[str, Stage]]:
        """(all stages in order, the last one of each source)."""
        signed = {name: self._signatures(name, stage) for name, stage in self.documents.items()}
        catalogue = self._catalogue(signed)
        through, deciding = [*signed.values(), catalogue], [catalogue]
        copies = self._copies(signed, catalogue) if self.settings.exact else None
        through += [copies] if copies else []
        if near := self.settings.near:
            pairs = self._pairs(near, signed, catalogue, copies)
            candidates = self._candidates(near, catalogue, pairs)
            shingles = self._shingles(near, signed, catalogue, candidates)
            similar = self._similar(near, catalogue, pairs, shingles)
            through += [pairs, candidates, shingles, similar]
        duplicates = self._duplicates(signed, catalogue, copies, similar if near else None)
        deciding.append(duplicates)
        kept = {name: self._dedup(name, stage, *deciding) for name, stage in self.documents.items()}
        return [*through, duplicates, *kept.values()], kept

    def _holdings(self, signed: Mapping[str, Stage], workspace: Path) -> list[Holding]:
        from pipeline.dedup.catalogue import Holding
        from pipeline.dedup.earlier import earlier_holdings

        own = [Holding(run="", source=name, signatures=workspace / stage.name) for name, stage in signed.items()]
        return [*earlier_holdings(self.settings.against), *own]

    def _signatures(self, name: str, documents: Stage) -> Stage:
        """What duplicates are found by, so that finding them reads no text but that of candidates."""

        def work(_: Path) -> Work:
            from pipeline.dedup.signatures import Scheme, sign_documents

            return partial(sign_documents, source=name, scheme=Scheme.of(self.settings))

        return Stage(
            name=f"signatures/{name}",
            work=work,
            units=same_units(documents),
            reads=(documents,),
            settings=self.settings.signed,
        )

    def _catalogue(self, signed: Mapping[str, Stage]) -> Stage:
        """Every document's number: its place in the order in which documents are preferred."""

        def work(workspace: Path) -> Work:
            from pipeline.dedup.catalogue import number_documents
            from pipeline.dedup.signatures import Scheme

            how: dict[str, Any] = {"prefer": self.settings.prefer, "scheme": Scheme.of(self.settings)}
            return partial(number_documents, holdings=self._holdings(signed, workspace), **how)

        def inputs() -> dict[str, list[int]]:
            from pipeline.dedup.earlier import stamps

            return stamps(self.settings)

        return Stage(
            name="catalogue",
            work=work,
            units=one_unit(list(signed.values())),
            reads=tuple(signed.values()),
            settings={"prefer": self.settings.prefer, "against": self.settings.against},
            inputs=inputs if self.settings.against else dict,
            suffix=".arrow",
        )

    def _copies(self, signed: Mapping[str, Stage], catalogue: Stage) -> Stage:
        """Which documents are equal to an earlier one."""

        def work(workspace: Path) -> Work:
            from pipeline.dedup.copies import find_copies

            return partial(
                find_copies, catalogue=workspace / catalogue.name, holdings=self._holdings(signed, workspace)
            )

        def names(documents: int) -> list[str]:
            from pipeline.dedup.copies import parts

            return [f"range {part + 1} of {parts(documents)}" for part in range(parts(documents))]

        reads = (*signed.values(), catalogue)
        return Stage(name="copies", work=work, units=_shared(catalogue, names, 16), reads=reads, suffix=".arrow")

    def _pairs(self, near: Near, signed: Mapping[str, Stage], catalogue: Stage, copies: Stage | None) -> Stage:
        """Which documents share a band."""

        def work(workspace: Path) -> Work:
            from pipeline.dedup.pairs import find_pairs

            return partial(
                find_pairs,
                catalogue=workspace / catalogue.name,
                copies=workspace / copies.name if copies else None,
                holdings=self._holdings(signed, workspace),
                settings=near,
            )

        def names(documents: int) -> list[str]:
            from pipeline.dedup.pairs import shares

            return [f"bands {b.start} to {b.stop - 1}, range {p + 1}" for p, b in shares(documents, near.bands)]

        return Stage(
            name="pairs",
            work=work,
            units=_shared(catalogue, names, 8 * near.bands),
            reads=(*signed.values(), catalogue, *([copies] if copies else [])),
            suffix=".arrow",
        )

    def _candidates(self, near: Near, catalogue: Stage, pairs: Stage) -> Stage:
        """Which documents are in a pair."""

        def work(workspace: Path) -> Work:
            from pipeline.dedup.shingles import mark_candidates

            return partial(
                mark_candidates, catalogue=workspace / catalogue.name, pairs=workspace / pairs.name, settings=near
            )

        return Stage(
            name="candidates", work=work, units=one_unit([pairs]), reads=(catalogue, pairs), suffix=".arrow"
        )  # fmt: skip

    def _shingles(self, near: Near, signed: Mapping[str, Stage], catalogue: Stage, candidates: Stage) -> Stage:
        """The sets of shingles of these, from their texts."""

        def work(workspace: Path) -> Work:
            from pipeline.dedup.shingles import write_shingles

            return partial(
                write_shingles,
                catalogue=workspace / catalogue.name,
                candidates=workspace / candidates.name,
                ngram=near.ngram,
            )

        def units(workspace: Path) -> list[Unit]:
            from pipeline.dedup.catalogue import Catalogue
            from pipeline.dedup.earlier import documents_of

            own = {name: signed_pieces(workspace, stage) for name, stage in self.documents.items()}
            texts = {("", piece_of, p.name): p for piece_of, found in own.items() for p in found}
            texts |= documents_of(self.settings.against)
            files = Catalogue.open(workspace / catalogue.name).files
            return [Unit(n, (texts[file.run, file.source, file.documents],)) for n, file in enumerate(files)]

        return Stage(
            name="shingles",
            work=work,
            units=units,
            reads=(*self.documents.values(), catalogue, candidates),
            settings={"ngram": near.ngram},
            suffix=".arrow",
        )

    def _similar(self, near: Near, catalogue: Stage, pairs: Stage, shingles: Stage) -> Stage:
        """Which pairs really are similar."""

        def work(workspace: Path) -> Work:
            from pipeline.dedup.similar import measure_pairs

            return partial(
                measure_pairs,
                catalogue=workspace / catalogue.name,
                pairs=workspace / pairs.name,
                shingles=workspace / shingles.name,
                settings=near,
            )

        def names(documents: int) -> list[str]:
            from pipeline.dedup.similar import ranges

            return [f"range {part + 1} of {ranges(documents)}" for part in range(ranges(documents))]

        return Stage(
            name="similar",
            work=work,
            units=_shared(catalogue, names, 512),
            reads=(catalogue, pairs, shingles),
            settings={"threshold": near.threshold},
            suffix=".arrow",
        )

    def _duplicates(
        self, signed: Mapping[str, Stage], catalogue: Stage, copies: Stage | None, similar: Stage | None
    ) -> Stage:
        """What stands for what, decided over all sources at once: the same for any number of units and workers."""

        def work(workspace: Path) -> Work:
            from pipeline.dedup.duplicates import find_duplicates

            return partial(
                find_duplicates,
                catalogue=workspace / catalogue.name,
                copies=workspace / copies.name if copies else None,
                similar=workspace / similar.name if similar else None,
                holdings=self._holdings(signed, workspace),
                settings=self.settings,
            )

        before = [stage for stage in (copies, similar) if stage]
        return Stage(
            name="duplicates",
            work=work,
            units=one_unit(before),
            reads=(*signed.values(), catalogue, *before),
            settings={"exact": self.settings.exact, "near": asdict(self.settings.near) if self.settings.near else None},
            suffix=".arrow",
        )

    def _dedup(self, name: str, documents: Stage, catalogue: Stage, duplicates: Stage) -> Stage:
        """The documents that are no copy of another."""
        threshold = self.settings.near.threshold if self.settings.near else 1.0

        def work(workspace: Path) -> Work:
            from pipeline.dedup.keep import keep_survivors

            return partial(
                keep_survivors,
                source=name,
                catalogue=workspace / catalogue.name,
                duplicates=workspace / duplicates.name,
                threshold=threshold,
            )

        reads = (documents, catalogue, duplicates)
        return Stage(name=f"dedup/{name}", work=work, units=same_units(documents), reads=reads)


def _shared(
    catalogue: Stage, names: Callable[[int], list[str]], size: int
) -> Callable[[Path], list[Unit]]:  # fmt: skip
    """Units that share out all documents (their number -> the units' names), who read `size` bytes a document."""

    def units(workspace: Path) -> list[Unit]:
        from pipeline.dedup.catalogue import Catalogue

        folder = workspace / catalogue.name
        documents = len(Catalogue.open(folder))
        told, path = names(documents), str(folder)  # no piece of it: all of it is checked before the launch
        return [Unit(n, (Piece(path, name, size * documents // len(told)),)) for n, name in enumerate(told)]

    return units
