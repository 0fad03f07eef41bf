"""Rules for source files: may it be used, did a person write it here, does it look like code and not like data?

Sources: The Stack v2 and StarCoder2 (Lozhkov et al. 2024, section 2.1.3), StarCoder (Li et al. 2023, section 3),
SantaCoder (Ben Allal et al. 2023, section 4).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt

from pipeline.filters.code.licenses import accepted, threshold
from pipeline.filters.code.measure import NONE
from pipeline.filters.code.secrets import MOST_PLACES
from pipeline.filters.code.settings import CodeFilters, Comments, StarCoder
from pipeline.filters.rules import Column, Rule, at_least, at_most

MINIFIED_LINE = 110
"""Mean characters a line from which a script or style sheet counts as minified (GitHub Linguist)."""

MINIFIED_SHARE = 0.5
"""Share of the characters in lines of more than 500 from which it does, whatever short lines stand above."""


def rules(filters: CodeFilters) -> list[Rule]:
    """Any text, licence, language, vendored, generated, minified, shape, comments, data, secrets: in this order."""
    asked = [at_least("empty", "visible", 1), *_licence(filters)]
    if filters.languages:
        wanted = {language.lower() for language in filters.languages}
        asked.append(
            _words(
                "language", "language", lambda name: (name or "").lower() not in wanted, ", ".join(filters.languages)
            )
        )
    asked += [_told(reason, reason) for reason in ("vendored", "generated", "minified") if not getattr(filters, reason)]
    if not filters.minified:
        asked.append(at_most("minified", "script_mean_line", MINIFIED_LINE))
        asked.append(at_most("minified", "script_long_lines", MINIFIED_SHARE))
    if filters.starcoder:
        asked += _starcoder(filters.starcoder)
    if filters.comments:
        asked += _comments(filters.comments)
    if filters.data:
        large = ("literal_bytes", partial(_from, filters.data.from_bytes))
        asked.append(replace(at_most("data", "literals", filters.data.max_literals), among=large))
    if filters.secrets != "keep":
        asked.append(at_most("hostile_secrets", "keywords", MOST_PLACES))
    if filters.secrets == "drop":
        asked.append(at_most("secrets", "secrets", 0))
    return asked


def _licence(filters: CodeFilters) -> list[Rule]:
    wanted = filters.licenses
    if wanted == "any":
        return []
    told = threshold(wanted)
    return [
        _words("no_license", "license", lambda name: name == NONE, told),
        _words("license", "license", lambda name: name is not None and not accepted(name, wanted), told),
    ]


def _starcoder(asked: StarCoder) -> list[Rule]:
    named = [_told("starcoder_text_name", "text_name")] if asked.named_text else []
    return [
        _told("starcoder_xml", "xml"),
        at_most("starcoder_many_lines", "lines", asked.max_lines),
        at_most("starcoder_long_line", "longest_line", asked.max_line),
        at_most("starcoder_long_line", "longest_prose_line", asked.max_prose_line),
        at_most("starcoder_long_lines", "mean_line", asked.max_mean_line),
        at_least("starcoder_few_alphabetic", "alphabetic", asked.min_alphabetic),
        at_least("starcoder_few_alphanumeric", "alphanumeric", asked.min_alphanumeric),
        at_most("starcoder_encoded", "encoded", asked.max_encoded),
        at_most("starcoder_encoded_run", "encoded_run", asked.max_encoded_run),
        at_most("starcoder_data_lines", "data_lines", asked.max_data_lines),
        *named,
        at_least("starcoder_html_text", "html_text", asked.min_html_text),
        at_least("starcoder_html_visible", "html_visible", asked.min_html_visible),
    ]


def _comments(asked: Comments) -> list[Rule]:
    among = ("language", partial(_in, frozenset(language.lower() for language in asked.languages)))
    return [
        at_least("few_comments", "comments", asked.min_share, among),
        replace(at_most("many_comments", "comments", asked.max_share), among=among),
    ]


def _in(names: Collection[str], languages: Column) -> npt.NDArray[np.bool_]:
    return np.fromiter(((language or "").lower() in names for language in languages), np.bool_, len(languages))


def _from(least: int, values: Column) -> npt.NDArray[np.bool_]:
    return np.asarray(values >= least, np.bool_)


def _told(reason: str, column: str) -> Rule:
    """Anything that was found fails."""
    return _words(reason, column, lambda found: found is not None, None)


def _words(reason: str, column: str, fails: Callable[[str | None], bool], threshold: str | None) -> Rule:
    return Rule(
        reason=reason,
        column=column,
        threshold=threshold,
        fails=lambda values: np.fromiter(map(fails, values), np.bool_, len(values)),
    )
