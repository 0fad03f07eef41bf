"""YAML -> a checked recipe; all faults are told at once, each with file, line and the likely mend."""

from __future__ import annotations

import keyword
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from model.settings import SHAPES
from pipeline.filters.known import CLAIMED, CLAIMED_LONG
from recipes.names import meant
from recipes.recipe import ContradictionError, Place, Recipe


class RecipeError(Exception):
    """The recipe does not hold together; the message gives file, line and mend."""


class RecipeWarning(UserWarning):
    """What the recipe asks for can be had, but not as good as it looks: in one line, as a fault is told."""


def shipped() -> dict[str, Path]:
    """The recipes that come with bertmill: name -> file."""
    return {path.stem: path for path in sorted(Path(str(files("recipes"))).glob("*.yaml"))}


def load(path: Path) -> Recipe:
    """Read and check a recipe. Raises RecipeError with a line `file:line: place: what is wrong; mend` a fault.

    Warns (RecipeWarning) of languages that are often mistaken.
    """
    reader = _Reader(path)
    try:
        plain = reader.read()
        if isinstance(plain.get("model"), str):
            plain["model"] = reader.shape(plain["model"])
        if isinstance(train := plain.get("train"), dict) and isinstance(train.get("start"), str):
            train["start"] = {"from_": train["start"]}
        recipe = TypeAdapter(Recipe).validate_python(plain)
    except RecursionError:
        raise RecipeError(f"{path}:1: is nested too deeply for a recipe") from None
    except ValidationError as faults:
        raise RecipeError("\n".join(reader.told(faults, plain))) from None
    if told := reader.untold(plain, recipe):
        raise RecipeError("\n".join(told))
    for line in reader.doubts(recipe):
        warnings.warn(line, RecipeWarning, stacklevel=2)
    return recipe


def value_of(text: str) -> Any:
    """What a recipe would read behind a key: 40 -> 40, 8e-4 -> 0.0008, [en, de] -> a list. Raises RecipeError."""
    try:
        node = yaml.compose(text)
        if node is not None:
            return _Reader(Path("value"))._plain(node, ())
    except (yaml.YAMLError, RecursionError):
        pass
    raise RecipeError(f"'{text[:60]}' is no value that a recipe could have")


WAYS = ("weights", "mix_tokens")
"""What a file may say instead of a phase's `mix`, which is then made of it."""

UNITS = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


class _Reader:
    """One YAML file, with the line of each of its places."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}
        self.faults: list[str] = []

    def read(self) -> dict[str, Any]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise RecipeError(f"{self.path}: there is no such file; shipped recipes: {sorted(shipped())}") from None
        except (OSError, UnicodeDecodeError) as fault:
            raise RecipeError(f"{self.path}: cannot be read: {fault}") from None
        try:
            node = yaml.compose(text)
        except yaml.MarkedYAMLError as fault:
            line = fault.problem_mark.line + 1 if fault.problem_mark else 1
            raise RecipeError(f"{self.path}:{line}: is not YAML: {fault.problem}") from None
        except yaml.YAMLError as fault:  # characters that no YAML may hold
            raise RecipeError(f"{self.path}:1: is not YAML: {str(fault).splitlines()[0]}") from None
        if not isinstance(node, yaml.MappingNode):
            raise RecipeError(f"{self.path}:1: is not a recipe; it begins with 'name: ...'")
        plain = self._plain(node, ())
        if self.faults:
            raise RecipeError("\n".join(self.faults))
        return dict(plain)

    def _plain(self, node: yaml.Node, place: Place) -> Any:
        """Nodes -> plain values; notes each line, and refuses a key given twice."""
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            whole: dict[str, Any] = {}
            for key, value in node.value:
                name = f"{key.value}_" if keyword.iskeyword(key.value) else key.value  # from: -> from_
                line = key.start_mark.line + 1
                if name in whole:
                    first = self.lines[(*place, name)]
                    where = ".".join(map(str, (*place, key.value)))
                    self.faults.append(f"{self.path}:{line}: {where}: is given twice; line {first} has it already")
                    continue
                self.lines[*place, name] = line  # a block begins a line below its name
                whole[name] = self._plain(value, (*place, name))
            return whole
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(value, (*place, at)) for at, value in enumerate(node.value)]
        return _scalar(node)

    def shape(self, name: str) -> dict[str, Any]:
        """The dimensions behind `model: base`."""
        if name not in SHAPES:
            line = self.lines["model",]
            known = ", ".join(sorted(SHAPES))
            raise RecipeError(
                f"{self.path}:{line}: model: there is no shape '{name}'; "
                f"name one of {known}, or give layers, hidden, heads, intermediate"
            )
        return asdict(SHAPES[name])

    def told(self, faults: ValidationError, plain: Mapping[str, Any]) -> list[str]:
        """One line a fault: where, what, and the likely mend."""
        lines: list[str] = []
        alternatives: set[Place] = set()  # where one value fits none of several forms, one of them is told
        whole = faults.errors()
        inside = [self._place(fault["loc"]) for fault in whole if not _is_plain_form(fault)]
        for fault in whole:
            error = fault.get("ctx", {}).get("error")
            if isinstance(error, ContradictionError):
                lines += [self._line(place, said) for place, said in error.faults]
                continue
            place = self._place(fault["loc"])
            if _is_plain_form(fault) and any(other[: len(place)] == place for other in inside):
                continue
            if place and place[-1] != fault["loc"][-1] and "missing" not in fault["type"]:
                if place in alternatives:
                    continue
                alternatives.add(place)
            words, unknown = said(fault)
            lines.append(self._line(place, words + (meant(place, _kind(place, plain)) if unknown and place else "")))
        return sorted(set(lines), key=lambda line: (int(line[len(str(self.path)) + 1 :].split(":")[0]), line))

    def untold(self, plain: Mapping[str, Any], recipe: Recipe) -> list[str]:
        """What pydantic takes and should not: true for 1, and a vocabulary that a given tokenizer overrules."""
        told = [self._line(place, "is a number, not true or false") for place in _numbers_told_as_bool(plain, recipe)]
        given = plain.get("tokenizer") or {}
        overruled = ("vocab",) if given.get("extend") else ("vocab", "sample")
        if given.get("from_") is not None and (over := [name for name in overruled if name in given]):
            said = f"has no effect beside 'from', whose file says it; take {over[0]} out"
            told.append(self._line(("tokenizer", over[0]), said))
        return told

    def doubts(self, recipe: Recipe) -> Iterator[str]:
        """A line for each language asked for that the model often takes for another."""
        for name, source in recipe.texts.items():
            if source.kind == "code":  # whose languages are not people's
                continue
            for code in source.filters.languages:
                if code not in (*CLAIMED, *CLAIMED_LONG):
                    told = f"{code} is often taken for another language; see docs/languages.md"
                    yield self._line(("sources", name, "filters", "languages"), told)

    def _place(self, loc: Place) -> Place:
        """The part of pydantic's place that is in the file: the rest are tags of its own, or the missing key."""
        place: Place = ()
        for step in loc:
            ways = ("mix", *WAYS) if step == "mix" else (step,)
            place = next((longer for way in ways if (longer := (*place, way)) in self.lines), place)
        return place

    def _line(self, place: Place, said: str) -> str:
        place = self._place(place)
        where = ".".join(str(step).removesuffix("_") for step in place) or "recipe"
        return f"{self.path}:{self.lines[place]}: {where}: {said}"


def _scalar(node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode) and node.style is None:  # not in quotes
        value = str(node.value)
        if counted := re.fullmatch(r"(\d[\d_]*(?:\.\d+)?)([KMBT])", value):
            number = Decimal(counted[1].replace("_", "")) * UNITS[counted[2]]
            return int(number) if number == int(number) else float(number)
        if re.fullmatch(r"[+-]?\d+(\.\d+)?[eE][+-]?\d+", value):  # YAML 1.1 takes 8e-4 for a word
            return float(value)
        if value.lower() in ("yes", "no", "on", "off", "y", "n"):  # and `no` (Norwegian) for false
            return value
    return yaml.SafeLoader("").construct_object(node)


def _is_plain_form(fault: Any) -> bool:
    """Whether a mapping was given and this fault is that it is no number or word, which could stand there too."""
    plain = ("literal_error", "int_type", "float_type", "bool_type", "string_type")
    return isinstance(fault.get("input"), Mapping) and fault["type"] in plain


def said(fault: Any) -> tuple[str, bool]:
    """pydantic's fault -> (our words, whether it is an unknown key, which may mean another)."""
    context = fault.get("ctx", {})
    given = f", not {fault['input']!r}" if isinstance(fault.get("input"), str | int | float) else ""
    match fault["type"]:
        case "missing" if isinstance(fault["loc"][-1], int):
            return "is too short a list; docs/recipe.md tells how many it holds, such as betas: [0.9, 0.98]", False
        case "too_long":
            return f"is a list of {context['max_length']}, not {context['actual_length']}", False
        case "finite_number":
            return "is a finite number such as 4608 or 1.7T", False
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return f"'{str(fault['loc'][-1]).removesuffix('_')}' is missing", False
        case "unexpected_keyword_argument" | "extra_forbidden":
            return "no such setting", True
        case "union_tag_invalid":
            return f"there is no kind '{context['tag']}'; the kinds are {context['expected_tags']}", False
        case "union_tag_not_found":
            return "'kind' is missing; it is one of 'web', 'code', 'science', 'text', 'shards'", False
        case "literal_error":
            return f"is one of {context['expected']}{given}", False
        case "int_parsing" | "int_type" | "int_from_float":
            return f"is a whole number such as 4608 or 1.7T{given}", False
        case "string_type":
            return f"is text, in quotes if need be{given}", False
        case "tuple_type" | "list_type":
            return f"is a list such as [a, b]{given}", False
        case "bool_parsing" | "bool_type":
            return f"is true or false{given}", False
        case "float_parsing" | "float_type":
            return f"is a number such as 0.8 or 8e-4{given}", False
        case "dataclass_type" | "dict_type" | "mapping_type" | "model_attributes_type":
            return f"holds settings of its own ('{{key: value}}'){given}", False
        case _:
            return str(fault["msg"]).removeprefix("Value error, "), False


def _numbers_told_as_bool(plain: Any, checked: Any, place: Place = ()) -> Iterator[Place]:
    """The places of true and false in a file where the recipe made of it has a number."""
    if isinstance(plain, bool) and not isinstance(checked, bool):
        yield place
    elif isinstance(plain, Mapping):
        for name, value in plain.items():
            inner = checked.get(name) if isinstance(checked, Mapping) else getattr(checked, name, None)
            yield from _numbers_told_as_bool(value, inner, (*place, name))
    elif isinstance(plain, list) and isinstance(checked, tuple):
        for at, (value, inner) in enumerate(zip(plain, checked, strict=False)):
            yield from _numbers_told_as_bool(value, inner, (*place, at))


def _kind(place: Place, plain: Mapping[str, Any]) -> str | None:
    """The kind of the source that a place is in."""
    source = plain["sources"].get(place[1]) if place[0] == "sources" and len(place) > 2 else None
    return source.get("kind") if isinstance(source, Mapping) else None
