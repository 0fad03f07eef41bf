"""The rules of C4 (Raffel et al. 2020, section 2.2; the released code): which lines of a page are prose?"""

from __future__ import annotations

import re

from pipeline.filters.settings import C4
from pipeline.filters.verdict import Failed

ENDS = (".", "?", "!", '"', "'")
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")

_SUSPECTS = (b"lorem ipsum", b"javascript", b"terms of use", b"policy", b"cookies")
"""What every line that drops itself or its document holds, but for the curly bracket."""

_CITATIONS = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+(?=[^\sa-z])|(?<=[。！？])[”’」』）]*(?=[^\s。！？”’」』）])")
"""After terminal punctuation, closing marks and a space, before something that is no small letter. A lookbehind, since
a pattern that takes in all the dots of a long row needs time that grows with their square."""


def clean(text: str, rules: C4) -> Failed | str:
    """The text of the lines that are kept (its lines stripped), or why the document is not.

    "Lorem ipsum" and a curly bracket drop the document only where they stand in a line that would be kept; lines
    that speak of JavaScript or of policies go alone.
    """
    lines = [line.strip() for line in text.splitlines()]
    few = rules.min_line_words
    lines = [line for line in lines if len(line.split(None, few - 1)) >= few and not _endless(line, rules)]
    if rules.drop_citations and "[" in text:
        lines = [_CITATIONS.sub("", line) for line in lines]
    if rules.terminal_punctuation:
        lines = [line for line in lines if line.endswith(ENDS) and not line.endswith("...")]
    lower = text.encode().lower()  # ten times as fast as lowering characters
    if "{" in text or any(phrase in lower for phrase in _SUSPECTS):
        verdicts = [_suspicion(line) for line in lines]
        if failed := next((verdict for verdict in verdicts if isinstance(verdict, Failed)), None):
            return failed
        lines = [line for line, gone in zip(lines, verdicts, strict=True) if not gone]
    sentences = 0
    for line in lines:
        sentences += count_sentences(line)
        if sentences >= rules.min_sentences:
            return "\n".join(lines).strip()
    return Failed("c4_few_sentences", sentences, rules.min_sentences) if rules.min_sentences else ""


def _endless(line: str, rules: C4) -> bool:
    return len(line) > rules.max_word_length and any(len(word) > rules.max_word_length for word in line.split())


def _suspicion(line: str) -> Failed | bool:
    """Why the line drops its document, or whether it is dropped alone."""
    lower = line.lower()
    if "lorem ipsum" in lower:
        return Failed("c4_lorem_ipsum")
    if "javascript" in lower:
        return True
    if "{" in line:
        return Failed("c4_curly_bracket")
    return any(policy in lower for policy in POLICIES)


def count_sentences(line: str) -> int:
    """The sentences of a line; what stands after the last end is one, too."""
    return len(_SENTENCE_END.findall(line)) + 1 if line else 0
