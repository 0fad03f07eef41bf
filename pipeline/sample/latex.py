"""Article -> LaTeX source, as authors upload it: macros of their own, comments, floats, a bibliography."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from pipeline.sample.blocks import Block
from pipeline.sample.inline import Mark, spans
from pipeline.sample.science import Article, Section

ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\x00": "",
    }
)

MACROS = r"""% Macros that this paper uses throughout.
\newcommand{\name}[1]{\texttt{#1}} % names in programs
\newcommand{\term}[1]{\emph{#1}}
\newcommand{\eg}{for example}
\def\figurewidth{0.8\textwidth}
"""

COMMANDS: dict[Mark, str] = {"code": "name", "emphasis": "term", "strong": "textbf"}


def latex(article: Article) -> dict[str, str]:
    """The source files of the article by name; one file for short ones, several for the others."""
    body = "".join(_section(section) for section in article.sections)
    references = _references(article)
    if article.number % 2:
        return {"main.tex": _document(article, MACROS, body, references)}
    return {
        "macros.tex": MACROS,
        "main.tex": _document(article, "\\input{macros}\n", "\\input{sections/body}\n", "\\input{refs.bbl}\n"),
        "refs.bbl": references,
        "sections/body.tex": body,
    }


def _document(article: Article, macros: str, body: str, references: str) -> str:
    abstract = "".join(_blocks(article.abstract, {}))
    return (
        "\\documentclass[11pt]{article}\n\\usepackage[utf8]{inputenc}\n\\usepackage{amsmath,amssymb,graphicx}\n"
        f"{macros}"
        f"\\title{{{_text(article.title, {})}}}\n\\author{{The {_escaped(article.package)} developers}}\n\\date{{}}\n"
        f"\\begin{{document}}\n\\maketitle\n% The abstract was shortened after the first review.\n"
        f"\\begin{{abstract}}\n{abstract}\\end{{abstract}}\n\n{_figure(article)}{body}{references}\\end{{document}}\n"
    )


def _figure(article: Article) -> str:
    return (
        "\\begin{figure}[t] % drawn by a script\n\\centering\n\\includegraphics[width=\\figurewidth]{overview.pdf}\n"
        f"\\caption{{An overview of {_escaped(article.name)}, \\eg{{}} of the quantities that it defines.}}\n"
        "\\label{fig:overview}\n\\end{figure}\n\n"
    )


def _references(article: Article) -> str:
    items = "".join(
        f"\\bibitem{{ref{number}}} {_text(text, {})}\n" for number, text in enumerate(article.references, 1)
    )
    return f"\\begin{{thebibliography}}{{99}}\n{items}\\end{{thebibliography}}\n" if items else ""


def _section(section: Section) -> str:
    command = "section" if section.level == 1 else "subsection"
    return f"\\{command}{{{_text(section.title, {})}}}\n" + "".join(_blocks(section.blocks, section.cites)) + "\n"


def _blocks(blocks: Iterable[Block], cites: Mapping[str, int]) -> Iterator[str]:
    for kind, run in groupby(blocks, key=lambda block: block.kind):
        same = list(run)
        match kind:
            case "paragraph":
                yield from (f"{_text(block.text, cites)}\n\n" for block in same)
            case "formula":
                yield from (_equation(block.text) for block in same)
            case "item":
                items = "".join(f"  \\item {_text(block.text, cites)}\n" for block in same)
                yield f"\\begin{{itemize}}\n{items}\\end{{itemize}}\n\n"
            case "field":
                items = "".join(f"  \\item[{_escaped(block.label)}] {_text(block.text, cites)}\n" for block in same)
                yield f"\\begin{{description}}\n{items}\\end{{description}}\n\n"


def _equation(tex: str) -> str:
    lines = "\n".join(line for line in tex.splitlines() if line.strip())
    if r"\\" in tex and r"\begin" not in tex:
        lines = f"\\begin{{aligned}}\n{lines}\n\\end{{aligned}}"
    return f"\\begin{{equation}}\n{lines}\n\\end{{equation}}\n\n"


def _text(text: str, cites: Mapping[str, int]) -> str:
    """Prose with its inline markup; a citation of what the list has not stays in brackets."""
    return "".join(_span(mark, words, address, cites) for mark, words, address in spans(text))


def _span(mark: Mark, words: str, address: str, cites: Mapping[str, int]) -> str:
    match mark:
        case "text":
            return _escaped(words)
        case "math":
            return f"${words}$"
        case "link":
            return f"{_escaped(words)}\\footnote{{\\texttt{{{_escaped(address)}}}}}"
        case "cite":
            return f"\\cite{{ref{cites[words]}}}" if words in cites else f"[{_escaped(words)}]"
    return f"\\{COMMANDS[mark]}{{{_escaped(words)}}}"


def _escaped(text: str) -> str:
    return text.translate(ESCAPES)
