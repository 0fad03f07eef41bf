"""LaTeX of other ages and packages: plain TeX, AMS-TeX, pseudo-code, new definitions, old encodings."""

import pytest

from pipeline.ingest.latex.source import read_source


def text_of(body: str, preamble: str = "") -> str:
    main = f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}"
    return read_source({"main.tex": main.encode()}).text


def test_commands_with_specified_arguments_are_expanded() -> None:
    preamble = r"""\NewDocumentCommand{\pair}{s O{z} m}{\IfBooleanTF{#1}{[#2,#3]}{(#2,#3)}}
      \NewDocumentCommand\maybe{o m}{\IfNoValueTF{#1}{#2}{#2 (#1)}}
      \NewDocumentEnvironment{aside}{m}{Aside #1: }{Over.}"""
    assert text_of(r"\pair{a} \pair*[b]{a} \maybe{x} \maybe[y]{x} $\pair[c]{d}$", preamble) == (
        "(z,a) [b,a] x x (y) $(c,d)$"
    )
    assert text_of(r"\begin{aside}{1}text. \end{aside}", preamble) == "Aside 1: text. Over."


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"a \vskip 12pt plus 1pt b \hskip.5em c", "a b c"),
        (r"\parindent=0pt\hsize 6in x", "x"),
        (r"\tikz[baseline]{\draw (0,0);} x \tikz \draw (0,0) -- (1,1); y", "x y"),
        (r"\unknown{width=3in, height=2cm} x \other{a/b/c.pdf} y \third{fig:bees} z", "x y z"),
        (r"\SI{3}{\kilo\metre} \num{1e5} \unit[11.5]{kg}", "3 kilometre 1e5 11.5 kg"),
        (r"x\textsuperscript{2} H\textsubscript{2}O 1\textsuperscript{st}", "x² H₂O 1st"),
        (r"!`Hola! \textquestiondown Que?", "¡Hola! ¿Que?"),
        (r"a \enquote{b} \textcolor[rgb]{0,0,1}{c}", "a b c"),
    ],
)
def test_what_is_no_text_vanishes(source: str, text: str) -> None:
    assert text_of(source) == text


def test_a_submissions_own_macro_goes_before_a_packages() -> None:
    assert text_of(r"\unit{} is \num", r"\newcommand{\unit}{One}\newcommand{\num}{two}") == "One is two"


def test_pseudo_code_is_a_line_a_step() -> None:
    source = r"""\begin{algorithm}\caption{Sort}\label{s}\begin{algorithmic}[1]
      \Require a list \For{$i \in L$} \If{$i > 0$} \State keep $i$ \Comment{good} \EndIf \EndFor
      \State \Return $L$ \end{algorithmic}\end{algorithm}"""
    lines = [
        "Require: a list",
        "for $i \\in L$ do",
        "if $i > 0$ then",
        "keep $i$ // good",
        "end if",
        "end for",
        "return $L$",
    ]
    assert text_of(source) == "\n".join(lines) + "\n\nAlgorithm 1. Sort"


def test_ams_tex_and_plain_tex_have_titles_headings_and_theorems() -> None:
    ams = rb"""\input amstex \documentstyle{amsppt} \topmatter \title On Bees\endtitle \author A. Bee\endauthor
      \endtopmatter \document \head 1. Wings\endhead They fly. \proclaim{Theorem 1} All do.\endproclaim
      \Refs \ref \key 1 \by X \endref \endRefs \enddocument"""
    paper = read_source({"a.tex": ams})
    assert paper.title == "On Bees"
    assert paper.text == "On Bees\n\n1. Wings\n\nThey fly.\n\nTheorem 1. All do."
    plain = rb"\magnification=1200 \font\big=cmr10 scaled 1400 \beginsection One\par Text \it here.\bye"
    assert read_source({"a.tex": plain}).text == "One\n\nText here."


@pytest.mark.parametrize("name", ["latin2", "cp1251", "applemac"])
def test_the_declared_encoding_is_used_where_a_file_is_not_utf_8(name: str) -> None:
    word, codec = {"latin2": ("Łódź", "iso8859-2"), "cp1251": ("Пчёлы", "cp1251"), "applemac": ("Über", "mac-roman")}[
        name
    ]
    head = rf"\documentclass{{a}}\usepackage[{name}]{{inputenc}}\begin{{document}}"
    assert read_source({"a.tex": (head + word + r"\end{document}").encode(codec)}).text == word


def test_an_example_of_a_document_within_a_chapter_does_not_hide_the_chapter() -> None:
    chapter = (
        b"\\section{Bees}\nText.\n\\begin{verbatim}\n\\documentclass{a}\n\\begin{document}\n\\end{verbatim}\nMore."
    )
    text = read_source({"a.tex": chapter}).text
    assert text.startswith("Bees\n\nText.")
    assert text.endswith("More.")


@pytest.mark.parametrize("name", ["LaTeXCode", "bashcode", "semiverbatim"])
def test_unknown_environments_of_code_keep_their_lines(name: str) -> None:
    assert (
        text_of(f"See\n\\begin{{{name}}}[numbers=none]\nx = {{1}};\n\\end{{{name}}}\nend.") == "See\n\nx = {1};\n\nend."
    )
