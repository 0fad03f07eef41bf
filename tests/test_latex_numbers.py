"""References, citations and captions of LaTeX papers become what the reader of the printed page sees."""

import pytest

from pipeline.ingest.latex.source import read_source


def text_of(body: str, preamble: str = "", **files: str) -> str:
    main = f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}"
    return read_source({"main.tex": main.encode(), **{k.replace("_", "."): v.encode() for k, v in files.items()}}).text


def test_a_reference_prints_the_number_that_latex_would_give() -> None:
    source = r"""See \ref{c}, \eqref{e}, \autoref{f} and \cref{t,u}; \Cref{c}.
      \section{A}\section{B}\subsection{C}\label{c}
      \begin{equation}\label{d} a\end{equation}
      \begin{align} b \\ c \nonumber \\ d \label{e}\end{align}
      \begin{figure}\caption{Bees}\label{f}\end{figure}
      \begin{thm}\label{t}T.\end{thm} \begin{lem}\label{u}L.\end{lem}"""
    preamble = r"\newtheorem{thm}{Theorem}[section]\newtheorem{lem}[thm]{Lemma}"
    text = text_of(source, preamble)
    assert text.startswith("See 2.1, (3), Figure 1 and theorem 2.1 and lemma 2.2; Subsection 2.1.")
    assert text.endswith("Figure 1. Bees\n\nTheorem 2.1. T.\n\nLemma 2.2. L.")


def test_items_appendices_and_tags_have_their_numbers() -> None:
    source = r"""\ref{i} \ref{a} \eqref{t} \section{S}
      \begin{enumerate}\item x\item\label{i} y\end{enumerate}
      $$z \tag{Q}\label{t}$$ \appendix \section{A}\label{a} End."""
    assert text_of(source).startswith("2 A (Q)")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"In Section~\ref{x} we", "In the section we"),
        (r"Eqs.~\ref{x} and \ref{y} hold.", "The equations hold."),
        (r"It flies (see Fig.~\ref{x}).", "It flies."),
        (r"as told on page~\pageref{x}.", "as told."),
        (r"Our Theorem~\ref{x}.", "Our theorem."),
        (r"\section{A}\label{x} In \S\ref{x} on page \pageref{x}.", "A\n\nIn §1."),
    ],
)
def test_a_reference_without_a_label_leaves_no_hole(source: str, text: str) -> None:
    assert text_of(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"shown before \cite{a}.", "shown before."),
        (r"shown before~\cite{a,b}, as", "shown before, as"),
        (r"It was \citet{a} who", "It was [1] who"),
        (r"Told by \cite{b} first, in Ref.~\cite{a}.", "Told by [2] first, in Ref. [1]."),
        (r"\cite{a} shows. All know \cite{a} and \cite{b}.", "[1] shows. All know."),
        (r"known [\onlinecite{a}] (see Ref.~[\onlinecite{b}])", "known (see Ref. [2])"),
    ],
)
def test_a_citation_stays_only_where_the_sentence_needs_it(source: str, text: str) -> None:
    bibliography = r"\begin{thebibliography}{9}\bibitem{a}A.\bibitem{b}B.\end{thebibliography}"
    assert text_of(source + "\n\n" + bibliography) == text


def test_authors_and_years_come_from_the_bibliography_or_its_data() -> None:
    source = r"\citet{a} and \citeauthor{b}. Known \citep{a}. In \cite{b} too."
    natbib = r"\bibitem[{Goodman \& G\'omez(2010)Goodman}]{a} X. \bibitem[Li et~al.(2012a)]{b} Y."
    wanted = "Goodman & Gómez (2010) and Li et al. Known. In Li et al. (2012a) too."
    assert text_of(source, main_bbl=natbib) == wanted
    bibtex = """@article{a, author = {Goodman, J. and G{\\'o}mez, X.}, year = 2010}
      @book{b, title="x", author = "A. Li and B. Ng and others", date = "2012-01"}"""
    wanted = "Goodman and Gómez (2010) and Li et al. Known. In Li et al. (2012) too."
    assert text_of(source, refs_bib=bibtex) == wanted


def test_a_heading_ends_a_float_that_was_never_closed() -> None:
    assert text_of("One.\n\\begin{figure} lost\n\\section{Two}\nThree.") == "One.\n\nTwo\n\nThree."
