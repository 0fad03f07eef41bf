"""Source files -> chapters: docstrings of a module gathered until there is enough to read on one page.

The source is parsed, never imported: no side effects, no warnings, and nothing compiled is needed.
"""

from __future__ import annotations

import ast
import re
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pipeline.sample.blocks import PROSE, Block, parse
from pipeline.sample.installed import PYTHON, Installed, files

SOURCE = frozenset({".py"})
PROSE_SHARE = 0.5
"""Of a chapter's characters: listings with a few words between them teach a small model little."""

SENTENCE = 60
"""Characters from which on a block counts as prose."""

PLACEHOLDER = re.compile(r"\s*(%\(\w+\)s|\{\w+\}|\$\w+|@\w+@)[.,]?\s*")
"""A line that a package fills in when it is imported."""

LONG_STRING = re.compile(r'("""|\'\'\').*?\1', re.DOTALL)
"""What may be a docstring: a file with little of it need not be parsed, and parsing is most of the time."""

NEWDOCS = frozenset({"add_newdoc", "add_docstr"})
"""Functions by which compiled packages attach docstrings to what is written in C."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one module, class or function says about itself."""

    name: str
    signature: str
    blocks: list[Block]

    @property
    def prose(self) -> int:
        """Characters in sentences; code, formulas and remarks of a few words left out."""
        texts = (block.text for block in self.blocks if block.kind in PROSE)
        return sum(len(text) for text in texts if len(text) >= SENTENCE)

    @property
    def size(self) -> int:
        """Characters of the signature and all blocks but formulas."""
        said = (block for block in self.blocks if block.kind != "formula")
        return len(self.signature) + sum(len(block.text) + len(block.label) for block in said)


@dataclass(frozen=True, slots=True)
class Chapter:
    """Entries that make one page or article; the first gives the title."""

    package: str
    name: str
    """Unique in its package; made of the module's public name."""
    title: str
    entries: list[Entry]


def chapters(
    package: str,
    prose: range,
    folders: tuple[str, ...] = ("",),
    told: Callable[[list[Block]], list[Block]] = list,
) -> Iterator[Chapter]:
    """The chapters of a package's modules in hash order of the files; `prose` bounds the characters of each.

    A chapter ends when the next entry would go past the upper bound; one under the lower bound is left out.
    `folders`: beginnings of the file names that count; `told`: what of an entry's blocks is used.
    """
    for file in files(package, SOURCE):
        text = file.read() if file.name.startswith(folders) else None
        if text and sum(len(found[0]) for found in LONG_STRING.finditer(text)) >= prose.start:
            said = (Entry(entry.name, entry.signature, told(entry.blocks)) for entry in entries(text))
            yield from _gathered(file, [entry for entry in said if entry.prose], prose)


def _gathered(file: Installed, documented: list[Entry], prose: range) -> Iterator[Chapter]:
    module = public(file.name)
    groups: list[list[Entry]] = [[]]
    total = 0
    for entry in documented:
        if groups[-1] and total + entry.prose >= prose.stop:
            groups.append([])
            total = 0
        groups[-1].append(entry)
        total += entry.prose
    for number, group in enumerate(groups):
        read, said = sum(entry.prose for entry in group), sum(entry.size for entry in group)
        if read in prose and read >= PROSE_SHARE * said:
            name = f"{module}.{group[0].name}" if group[0].name else module
            where = PurePosixPath(file.name).with_suffix("").as_posix().replace("/", ".")
            yield Chapter(file.package, f"{where}.{number}" if number else where, name, group)


def public(file: str) -> str:
    """The name under which users import what a file defines: scipy/stats/_qmc.py -> scipy.stats.

    Private parts are left out; a file at the top of the standard library is its own module.
    """
    parts = PurePosixPath(file).with_suffix("").parts
    return ".".join(part for part in parts if not part.startswith("_")) or parts[0]


def entries(source: str) -> list[Entry]:
    """What a module's source documents, in its order; empty when it cannot be parsed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escape sequences in other people's strings
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    found = [Entry("", "", _said(ast.get_docstring(tree)))]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            found.extend(_class(node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            found.append(_function(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            found.extend(_attached(node.value))
    return [entry for entry in found if entry.prose]


def _said(docstring: str | None) -> list[Block]:
    lines = (docstring or "").splitlines()
    return parse("\n".join(line for line in lines if not PLACEHOLDER.fullmatch(line)))


def _class(node: ast.ClassDef) -> Iterator[Entry]:
    functions = [part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
    made_of = next((_arguments(part) for part in functions if part.name == "__init__"), "")
    yield Entry(node.name, f"class {node.name}({made_of})", _said(ast.get_docstring(node)))
    for part in functions:
        if not part.name.startswith("_"):
            yield _function(part, f"{node.name}.")


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str = "") -> Entry:
    name = owner + node.name
    return Entry(name, f"{name}({_arguments(node)})", _said(ast.get_docstring(node)))


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    for argument in every:
        if argument:
            argument.annotation = None  # the tree is thrown away
    return ast.unparse(node.args).removeprefix("self").lstrip(", ")


def _attached(call: ast.Call) -> Iterator[Entry]:
    """add_newdoc("scipy.special", "name", text), add_docstr(torch.name, text.format(...)) and their like."""
    named = (
        call.func.attr
        if isinstance(call.func, ast.Attribute)
        else call.func.id
        if isinstance(call.func, ast.Name)
        else ""
    )
    if named not in NEWDOCS:
        return
    words = [part.value for part in ast.walk(call) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    text = max(words, key=len, default="")
    if call.args and isinstance(call.args[0], ast.Attribute):
        name = call.args[0].attr
    else:
        name = next((word for word in reversed(words) if word.isidentifier() and word is not text), "")
    if any(isinstance(part, ast.Attribute) and part.attr == "format" for part in ast.walk(call)):
        text = text.replace("{{", "{").replace("}}", "}")
    if name and not name.startswith("_"):
        yield Entry(name, "", _said(text))


def topics(prose: range) -> Iterator[Chapter]:
    """The language reference in the standard library's interactive help; each topic is a chapter."""
    path = Path(sysconfig.get_path("stdlib"), "pydoc_data", "topics.py")
    tree = ast.parse(path.read_text("utf-8")) if path.exists() else ast.Module([], [])
    for table in (node for node in ast.walk(tree) if isinstance(node, ast.Dict)):
        for key, value in zip(table.keys, table.values, strict=True):
            match key, value:
                case ast.Constant(value=str(name)), ast.Constant(value=str(text)):
                    entry = Entry("", "", parse(text))
                    title = next((block.text for block in entry.blocks if block.kind == "heading"), name)
                    if entry.prose in prose:
                        yield Chapter(PYTHON, f"reference.{name}", title, [entry])
