"""LaTeX sources, made here, become plain text with their formulas as TeX."""

import time

import pytest

from pipeline.ingest.latex.source import MOST_CHARACTERS, read_source
from pipeline.ingest.paper import NotAPaper, Paper


def paper(body: str, preamble: str = "", **files: str) -> Paper:
    main = f"\\documentclass[12pt]{{article}}\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\nnot read"
    others = {f"{name}.tex": text.encode() for name, text in files.items()}
    return read_source({"main.tex": main.encode(), **others})


def text_of(body: str, preamble: str = "", **files: str) -> str:
    return paper(body, preamble, **files).text


def test_title_date_headings_and_paragraphs() -> None:
    found = paper(
        "\\maketitle\n\\begin{abstract}\nShort.\n\\end{abstract}\n\\section{One}\\label{a}\n"
        "First\nline.\n\nSecond.\n\\subsection*{Two}\nThird.",
        "\\usepackage{amsmath}\n\\title{On \\emph{Bees}\\thanks{NSF}}\\author{A. Author}\\date{3 May 2020}",
    )
    assert found.title == "On Bees"
    assert found.date == "2020-05-03"
    assert found.text == "On Bees\n\nAbstract\n\nShort.\n\nOne\n\nFirst line.\n\nSecond.\n\nTwo\n\nThird."


@pytest.mark.parametrize(
    ("told", "iso"),
    [("2021-02-03", "2021-02-03"), ("March 5th, 2001", "2001-03-05"), ("Sept. 1999", "1999-09"), ("\\today", None)],
)
def test_a_date_is_kept_as_far_as_it_is_told(told: str, iso: str | None) -> None:
    assert paper(f"\\date{{{told}}} x").date == iso


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\emph{a} {\bf b} \textbf{c\textit{d}} {\em e\/}f", "a b cd ef"),
        (r"\'e \'{E} \"o \c{c} \v s \H{o} na\"{\i}ve \ss\ \o{} \AA", "é É ö ç š ő naïve ß ø Å"),
        ("``so'' `it' --- 1--2~km", "\"so\" 'it' — 1–2 km"),
        (r"50\% \& \$5 a\_b \#1 \{x\} \S 2 \ldots", "50% & $5 a_b #1 {x} §2 ..."),
        ("a% not this\n  b\nc \\% d", "ab c % d"),
        (r"a\footnote{Note \emph{x}.} b\label{l}, c\index{c}", "a b, c\n\nNote x."),
        (r"known \cite{a}, by \citep[see][p. 2]{b,c}. Also (\cite{d}; \cite{e}).", "known, by [2, 3]. Also."),
        (r"In Section~\ref{s} and (see Eq.~\eqref{e}) or (\ref{e}) we", "In the section and or we"),
        (r"\href{http://a.b/c}{the page} at \url{http://x.y/a_b%20c}", "the page at http://x.y/a_b%20c"),
        (r"\unknown{kept} \unknown[width=1]{too} \textcolor{red}{red}\vspace{2cm}", "kept too red"),
        (r"one \verb|\x{$}| two \lstinline{y}", r"one \x{$} two y"),
        (r"a\\b \par c", "a b\n\nc"),
        (r"\iffalse hidden \ifx a b \fi \fi shown", "shown"),
        (r"\newif\ifdraft \ifdraft no\else yes\fi{} \drafttrue \ifdraft on\else off\fi", "yes on"),
    ],
)
def test_commands_of_the_text_become_what_they_print(source: str, text: str) -> None:
    assert text_of(source) == text


@pytest.mark.parametrize(
    "formula",
    [
        r"$x_1 \in \{a\}$",
        r"\(a~b\)",
        r"$\mbox{if $x$ is \% odd}$",
        r"$a \text{ and } b$",
    ],
)
def test_a_formula_in_the_line_stays_as_it_is(formula: str) -> None:
    assert text_of(f"Let {formula} be.") == f"Let {formula} be."


@pytest.mark.parametrize(
    ("source", "block"),
    [
        (r"\[ a = b \]", r"\[a = b\]"),
        (r"$$ a = b $$", r"$$a = b$$"),
        (
            "\\begin{align*}\na &= b \\label{x} \\\\\n% no\nc &= d\n\\end{align*}",
            "\\begin{align*}\na &= b  \\\\\nc &= d\n\\end{align*}",
        ),
    ],
)
def test_a_displayed_formula_is_a_block_of_its_own(source: str, block: str) -> None:
    assert text_of(f"So\n{source}\nholds.") == f"So\n\n{block}\n\nholds."


def test_a_dollar_without_its_pair_does_not_swallow_the_paper() -> None:
    assert text_of("It costs $5 today.\n\nNext \\emph{one}.") == "It costs $5 today.$\n\nNext one."


def test_own_macros_are_expanded_in_text_and_formulas() -> None:
    preamble = r"""
      \newcommand{\R}{\mathbb{R}} \newcommand{\pair}[2][z]{(#1,#2)} \def\half#1{\frac{#1}{2}}
      \newcommand{\me}{Bee\xspace} \DeclareMathOperator{\arg}{arg} \renewcommand{\v}[1]{\mathbf{#1}}
      \let\again\me \providecommand{\me}{Wasp} \newcommand{\see}{Section~\ref} \newcommand\op[1]{\mathsf#1}"""
    assert text_of(r"\me flies. \again! \see{s} ends.", preamble) == "Bee flies. Bee! The section ends."
    assert text_of(r"$\R x, \pair{y}, \pair[a]{y}, \half{3}, \arg x, \v{u}, \op a$", preamble) == (
        r"$\mathbb{R} x, (z,y), (a,y), \frac{3}{2}, \operatorname{arg} x, \mathbf{u}, \mathsf a$"
    )


def test_own_environments_and_short_forms_of_begin_and_end_work() -> None:
    preamble = r"\newcommand{\be}{\begin{equation}} \newcommand{\ee}{\end{equation}}"
    preamble += r"\newenvironment{aside}[1]{Aside #1: }{Over.}"
    assert text_of(r"\be a=b \ee", preamble) == r"\begin{equation}a=b\end{equation}"
    assert text_of(r"\begin{aside}{1}text. \end{aside}", preamble) == "Aside 1: text. Over."


def test_lists_are_lines_with_dashes() -> None:
    source = r"Two: \begin{itemize}\item one \item[b)] two \begin{enumerate}\item deep\end{enumerate}\end{itemize} end."
    assert text_of(source) == "Two:\n\n- one\n- b) two\n- deep\n\nend."


def test_theorems_have_their_names() -> None:
    source = r"\begin{bee}[Old]All fly.\end{bee}\begin{proof}Look.\end{proof}"
    assert text_of(source, r"\newtheorem{bee}[thm]{Bee Law}") == "Bee Law 1 (Old). All fly.\n\nProof. Look."


def test_of_floats_the_caption_is_kept_after_the_paragraph_they_stand_in() -> None:
    source = r"""Before
      \begin{figure}[ht]\centering\includegraphics[width=3cm]{a.pdf}junk
      \caption[short]{A \emph{bee}~\cite{x}.}\label{f}\end{figure}
      after.

      \begin{table}\begin{tabular}{ll}1 & 2\\ \hline\end{tabular}\caption{Counts}\end{table} End."""
    assert text_of(source) == "Before after.\n\nFigure 1. A bee.\n\nEnd.\n\nTable 1. Counts"


def test_pictures_and_the_bibliography_are_left_out() -> None:
    source = r"a \begin{tikzpicture}\draw (0,0) node {$no$};\end{tikzpicture} b "
    source += r"\begin{thebibliography}{9}\bibitem{x} X.\end{thebibliography}"
    assert text_of(source) == "a b"


def test_references_are_kept_when_they_are_wanted() -> None:
    files = {
        "main.tex": b"\\documentclass{a}\\begin{document}Text.\\bibliography{refs}\\end{document}",
        "main.bbl": b"\\begin{thebibliography}{9}\\bibitem{x} A. Bee, \\emph{Dance}.\\end{thebibliography}",
    }
    assert read_source(files).text == "Text."
    assert read_source(files, references=True).text == "Text.\n\nReferences\n\n- A. Bee, Dance."


@pytest.mark.parametrize("name", ["verbatim", "lstlisting", "minted", "code"])
def test_verbatim_text_keeps_its_lines_and_signs(name: str) -> None:
    head = {"lstlisting": "[language=C]", "minted": "[x]{c}"}.get(name, "")
    source = f'See\n\\begin{{{name}}}{head}\nif (a % 2) {{\n    b = "$1";\\n\n}}\n\\end{{{name}}}\nend.'
    preamble = r"\newenvironment{code}{\VerbatimEnvironment\begin{minted}[x]{c}}{\end{minted}}"
    assert text_of(source, preamble) == 'See\n\nif (a % 2) {\n    b = "$1";\\n\n}\n\nend.'


def test_files_are_drawn_in_where_they_are_named_and_never_in_a_circle() -> None:
    text = text_of(
        "\\input{one} \\include{parts/two} \\bookimport[parts]{three} \\input{missing} end",
        "\\input macros",
        one="1 \\input{main} \\input{one}",
        macros="\\newcommand{\\x}{macro}",
        **{"parts/two": "2 \\x", "parts/three": "3"},
    )
    assert text == "1 2 macro 3 end"


def test_a_style_file_of_the_submission_gives_its_macros_and_no_text() -> None:
    files = {
        "a.tex": b"\\documentclass{a}\\usepackage{own,other}\\begin{document}\\bee\\end{document}",
        "own.sty": b"stray \\newcommand{\\bee}{Bee} \\def\\hard@one#1;{x}",
    }
    assert read_source(files).text == "Bee"


def test_the_main_file_is_the_one_that_draws_in_the_most() -> None:
    whole = "\\documentclass{a}\\begin{document}%s\\end{document}"
    files = {
        "cover.tex": whole % ("dear editor " * 5),
        "paper.tex": whole % "\\input{body}",
        "body.tex": "long " * 100,
        "part.tex": "\\documentclass[paper]{subfiles}\\begin{document}" + "longer " * 500 + "\\end{document}",
    }
    encoded = {name: text.encode() for name, text in files.items()}
    assert read_source(encoded).metadata["main"] == "paper.tex"
    note = b'{"sources": [{"filename": "cover.tex", "usage": "toplevel"}]}'
    assert read_source({**encoded, "00README.json": note}).metadata["main"] == "cover.tex"
    assert read_source({**encoded, "00README.XXX": b"cover.tex toplevelfile"}).metadata["main"] == "cover.tex"
    assert read_source({**encoded, "00README.json": b"{broken"}).metadata["main"] == "paper.tex"


def test_a_fragment_and_plain_tex_are_read_too() -> None:
    assert read_source({"1202.3665": b"\\section{Bees}\nThey fly."}).text == "Bees\n\nThey fly."
    assert read_source({"a.tex": b"\\magnification=1200 Hello {\\it there}.\\bye more"}).text.endswith("Hello there.")


def test_latin_1_is_read_where_it_is_not_utf_8() -> None:
    assert read_source({"a.tex": "\\section{Über}né".encode("latin-1")}).text == "Über\n\nné"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "not_latex"),
        ({"a.pdf": b"%PDF-1.4 \\section{x}"}, "not_latex"),
        ({"a": b"%PDF-1.4 \\section{x}"}, "not_latex"),
        ({"a.txt": b"no commands here"}, "not_latex"),
        ({"a.tex": b"\\documentclass{a}\\begin{document}\\cite{x}\\end{document}"}, "empty_text"),
        ({"a.tex": b"\\section{x}" + b"a" * MOST_CHARACTERS}, "bad_latex"),
        ({"a.tex": b"\\section{x}" + b"\\input{b}\n" * 50_000, "b.tex": b""}, "bad_latex"),
    ],
)
def test_what_is_no_latex_is_refused_with_its_reason(files: dict[str, bytes], reason: str) -> None:
    with pytest.raises(NotAPaper) as fault:
        read_source(files)
    assert fault.value.reason == reason


LAUGHS = "".join(f"\\def\\{b}{{" + f"\\{a}" * 10 + "}" for a, b in zip("ABCDEFGHI", "BCDEFGHIJ", strict=True))
HOSTILE = {
    "billion laughs": rf"\def\A{{lol}}{LAUGHS} \J\J\J",
    "a macro in itself": r"\def\A{\A\A x}" + r"\A " * 5_000,
    "two macros in each other": r"\def\A{\B\B}\def\B{\A\A}" + r"\A\B " * 5_000,
    "an argument in an argument": r"\newcommand{\A}[1]{#1#1}" + r"\A{" * 20_000 + "}" * 20_000,
    "nested braces": "{" * 100_000 + "}" * 100_000,
    "open braces": "{" * 100_000,
    "open commands": r"\emph{" * 100_000,
    "open footnotes": r"\footnote{" * 100_000,
    "open options": r"\emph[" * 30_000,
    "nested headings": r"\section{" * 20_000 + "}" * 20_000,
    "nested environments": r"\begin{itemize}\item " * 20_000 + r"\end{itemize}" * 20_000,
    "ends of nothing": r"\begin{x}" * 30_000 + r"\end{y}" * 30_000,
    "open verbatim": r"\begin{verbatim}" * 50_000,
    "open conditions": r"\iffalse " * 50_000,
    "open formulas": "$a " * 100_000,
    "white space": "a" + " \n\t" * 300_000,
    "gaps": "( " * 50_000 + r"\cite{a}, " * 50_000,
    "backslashes": "\\" * 200_001,
    "open bibliography": r"\cite{a}\bibitem[{" * 40_000,
    "a bomb of arguments": r"\NewDocumentCommand{\A}{mO{#1#1}}{\A{#1#1}[#2]}" + r"\A{xxxx}" * 2_000,
    "numbers that name themselves": r"\numberwithin{a}{b}\numberwithin{b}{a}\newtheorem{a}[a]{A}\begin{a}" * 5_000,
    "references to nothing": r"Section~\ref{x}, (see Eq.~\ref{y}) and " * 30_000,
    "open algorithms": r"\begin{algorithmic}\If{" * 20_000,
    "open formulas in brackets": r"\[ " * 60_000,
    "open dollars in braces": "{$" * 60_000,
    "open pictures": r"\begin{tikzpicture}\tikz " * 30_000,
    "endless line": "word " * 600_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_source_costs_bounded_time_and_memory(name: str) -> None:
    started = time.process_time()
    text = text_of(f"start.\n\n{HOSTILE[name]}\n\nend.")
    assert time.process_time() - started < 5  # a tenth of that is usual; without bounds most take minutes
    assert text.startswith("start.")
    assert len(text) < 5_000_000
