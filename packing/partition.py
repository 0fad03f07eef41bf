"""What phases of different context ask of a source -> which of its documents each context is packed from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

Part = tuple[float, float]
"""A stretch [a, b) of the documents that are not held out, in the order of their ids' hash."""

WHOLE: Part = (0.0, 1.0)


def parts(asked: Mapping[int, float]) -> dict[int, Part]:
    """Context -> its part of a source's documents, in proportion to what is asked of it; the shortest comes first.

    By the hash of the id alone, whatever a document's length: each context then sees the source as it is. Were the
    long documents kept for the long rows, short rows would never see their beginnings, and the phases would
    differ in what they read, not only in how far they see.
    """
    total = sum(asked.values())
    contexts = sorted(context for context, tokens in asked.items() if tokens > 0)
    bounds = [bound / total for bound in itertools.accumulate((asked[context] for context in contexts), initial=0.0)]
    bounds[-1] = 1.0  # whatever the sum was rounded to
    return dict(zip(contexts, itertools.pairwise(bounds), strict=True))
