"""A tokenizer.json -> which token each id stands for: what ids that somebody else made have to agree with."""

from __future__ import annotations

import json
from pathlib import Path

NEEDED = ("[CLS]", "[SEP]", "[PAD]", "[MASK]")


class VocabularyError(Exception):
    """A tokenizer.json that cannot be read, or has not the tokens that packing needs; told in one line."""


def vocabulary(path: Path) -> dict[str, int]:
    """The id of each token, added ones too. Reads the file alone, without making a tokenizer of it."""
    try:
        plain = json.loads(path.read_bytes())
        listed = plain["model"]["vocab"]
        tokens = {str(token): int(number) for token, number in listed.items()}
        tokens |= {str(token["content"]): int(token["id"]) for token in plain["added_tokens"]}
    except FileNotFoundError:
        raise VocabularyError(f"{path}: there is no such file") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise VocabularyError(f"{path}: is no tokenizer.json with a vocabulary by token ({fault!r})") from None
    if missing := [name for name in NEEDED if name not in tokens]:
        raise VocabularyError(f"{path}: has no {', '.join(missing)}; add them as special tokens")
    return tokens


def difference(one: Path, other: Path) -> str:
    """The first id that does not stand for the same token in two files, in words; nothing where all do."""
    first, second = ({number: token for token, number in vocabulary(path).items()} for path in (one, other))
    for number in sorted(first.keys() | second.keys()):
        if first.get(number) != second.get(number):
            told = (repr(tokens[number]) if number in tokens else "none" for tokens in (first, second))
            return "id {} is {} there and {} in the recipe's".format(number, *told)
    return ""
