"""JATS articles, made here, become the text that a reader reads."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.ingest.jats.article import MOST_BYTES, read_article
from pipeline.ingest.paper import NotAPaper

HEAD = """<article xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:mml="http://www.w3.org/1998/Math/MathML"
  article-type="research-article" xml:lang="en">"""
FRONT = """<front><journal-meta><journal-title-group><journal-title>Journal of Bees</journal-title>
</journal-title-group></journal-meta><article-meta><article-id pub-id-type="doi">10.1/bees</article-id>
<title-group><article-title>How <italic>Apis
mellifera</italic> dances<xref ref-type="fn" rid="n1">*</xref></article-title><subtitle>A study</subtitle></title-group>
<contrib-group><contrib><name><surname>Author</surname></name></contrib></contrib-group>
<pub-date pub-type="collection"><year>2019</year></pub-date>
<pub-date pub-type="ppub"><year>2020</year><month>4</month><day>3</day></pub-date>
<pub-date pub-type="epub"><day>9</day><month>Mar</month><year>2020</year></pub-date>
<permissions><license xlink:href="https://creativecommons.org/licenses/by/4.0/deed.en"><license-p>Open.</license-p>
</license></permissions>%s</article-meta></front>"""


def article(body: str, *, front: str = "", back: str = "", prolog: str = "") -> bytes:
    return f"{prolog}{HEAD}{FRONT % front}<body>{body}</body>{back}</article>".encode()


def text_of(body: str, **parts: str) -> str:
    """The text after the title."""
    return read_article(article(body, **parts)).text.partition("\n\n")[2]


def test_title_licence_date_and_names_come_from_the_front_matter() -> None:
    paper = read_article(article("<p>Text.</p>"))
    assert paper.title == "How Apis mellifera dances: A study"
    assert paper.text == "How Apis mellifera dances: A study\n\nText."
    assert (paper.license, paper.date) == ("CC-BY-4.0", "2020-03-09")
    assert dict(paper.metadata) == {
        "doi": "10.1/bees",
        "journal": "Journal of Bees",
        "language": "en",
        "article_type": "research-article",
    }


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ('<license xlink:href="http://creativecommons.org/licenses/by-nc-nd/3.0/igo/"/>', "CC-BY-NC-ND-3.0-IGO"),
        ('<license xlink:href="https://creativecommons.org/publicdomain/zero/1.0/"/>', "CC0-1.0"),
        ("<license><license-p>Under the Creative Commons Attribution License.</license-p></license>", "CC-BY"),
        (
            "<license><p>Creative Commons Attribution 4.0 International License</p></license>",
            "CC-BY-4.0",
        ),
        ("<license><license-p>All rights reserved.</license-p></license>", "All rights reserved."),
        ("", None),
    ],
)
def test_a_licence_gets_its_spdx_name_where_it_is_plain(told: str, name: str | None) -> None:
    front = f"<front><article-meta><permissions>{told}</permissions></article-meta></front>"
    assert read_article(f"{HEAD}{front}<body><p>x</p></body></article>".encode()).license == name


def test_sections_have_their_headings_and_numbers_on_lines_of_their_own() -> None:
    body = "<sec><label>1.</label><title>Methods</title><p>First.</p><sec><title>Bees</title><p>Second.</p></sec></sec>"
    assert text_of(body) == "1. Methods\n\nFirst.\n\nBees\n\nSecond."


def test_a_section_with_nothing_in_it_loses_its_heading() -> None:
    empty = "<sec><title>Supporting information</title><supplementary-material><p>S1</p></supplementary-material></sec>"
    body = f"<p>Text.</p><p>More.</p>{empty}"
    assert text_of(body) == "Text.\n\nMore."


def test_abstracts_come_first_but_teasers_and_translations_do_not_come() -> None:
    front = (
        "<abstract><title>Abstract</title><sec><title>Aim</title><p>To know.</p></sec></abstract>"
        '<abstract abstract-type="toc"><p>Bees!</p></abstract>'
        '<trans-abstract xml:lang="fr"><p>Abeilles.</p></trans-abstract>'
    )
    assert text_of("<p>Body.</p>", front=front) == "Abstract\n\nAim\n\nTo know.\n\nBody."


def test_inline_markup_loses_and_doubles_no_space() -> None:
    body = """<p>The   <italic>bee</italic>s (<bold>n</bold>
      = 3) see <ext-link xlink:href="http://a.b">a.b</ext-link>,<break/>CO<sub>2</sub>
      at 10<sup>-3</sup> m<sup>2</sup>.</p>"""
    assert text_of(body) == "The bees (n = 3) see a.b, CO2 at 10⁻³ m²."


def test_citations_in_brackets_stay_and_raised_ones_leave_no_trace() -> None:
    cited = '<xref ref-type="bibr" rid="b1">1</xref>'
    raised = f"shown<sup>{cited},{cited}</sup>. Told <sup>{cited}</sup>, (<xref ref-type='fn'>a</xref>) so."
    body = f"<p>Known [{cited}], {raised}</p>"
    assert text_of(body) == "Known [1], shown. Told, so."


def test_lists_are_lines_with_dashes_even_in_one_another() -> None:
    body = (
        "<p>Two:<list><list-item><p>one</p><p>more</p></list-item><list-item><label>b)</label><p>two</p>"
        "<list><list-item><p>deep</p></list-item></list></list-item></list>and on.</p>"
    )
    assert text_of(body) == "Two:\n\n- one\nmore\n- b) two\n- deep\n\nand on."


def test_definitions_are_lines_too() -> None:
    terms = "<def-list><def-item><term>AC</term><def><p>anchor cell</p></def></def-item></def-list>"
    back = f"<back><glossary><title>Terms</title>{terms}</glossary></back>"
    assert text_of("<p>x</p>", back=back) == "x\n\nTerms\n\n- AC: anchor cell"


def test_of_figures_and_tables_the_captions_are_kept() -> None:
    body = """<fig><label>Figure 1</label><caption><title>A bee.</title><p>Seen from above.</p></caption>
      <graphic/></fig>
      <table-wrap><label>Table 1</label><caption><p>Counts</p></caption>
      <table><tr><td>7777</td></tr></table>
      <table-wrap-foot><p>note</p></table-wrap-foot></table-wrap>"""
    assert text_of(body) == "Figure 1. A bee. Seen from above.\n\nTable 1. Counts"


def test_a_formula_appears_once_and_as_its_own_tex_if_there_is_one() -> None:
    tex = r"<tex-math>\documentclass{minimal}\usepackage{pmc} \begin{document} $$x_1 + 2$$ \end{document}</tex-math>"
    maths = "<mml:math><mml:mi>x</mml:mi></mml:math>"
    for inside in (f"<alternatives>{maths}{tex}</alternatives>", f"{maths}{tex}", tex):
        assert text_of(f"<p>Let <inline-formula>{inside}</inline-formula>.</p>") == "Let $x_1 + 2$."
    shown = f"<disp-formula>{tex}<label>(3)</label></disp-formula>"
    assert text_of(f"<p>So{shown}holds.</p>") == "So\n\n$$x_1 + 2$$ (3)\n\nholds."


@pytest.mark.parametrize(
    ("maths", "tex"),
    [
        ("<mfrac><mi>a</mi><mn>2</mn></mfrac>", r"\frac{a}{2}"),
        ("<msubsup><mi>x</mi><mi>i</mi><mn>10</mn></msubsup>", "x_i^{10}"),
        ("<msup><mrow><mi>x</mi><mo>+</mo><mi>y</mi></mrow><mn>2</mn></msup>", "{x + y}^2"),
        ("<msqrt><mi>a</mi><mo>−</mo><mi>b</mi></msqrt>", r"\sqrt{a - b}"),
        ("<mover><mi>x</mi><mo>¯</mo></mover>", r"\bar{x}"),
        ("<mi>log</mi><mi>p</mi><mo>&#x2062;</mo><mi>rate</mi>", r"\log p\mathrm{rate}"),
        ("<mfenced open='{' close=''><mi>a</mi><mi>b</mi></mfenced>", r"\{a,b"),
        ("<mtable><mtr><mtd><mi>a</mi></mtd><mtd><mi>b</mi></mtd></mtr></mtable>", r"\begin{matrix}a & b\end{matrix}"),
        ("<semantics><mi>a</mi><annotation>ignored</annotation></semantics>", "a"),
    ],
)
def test_mathml_keeps_its_structure(maths: str, tex: str) -> None:
    xml = f'<p><inline-formula><math xmlns="http://www.w3.org/1998/Math/MathML">{maths}</math></inline-formula></p>'
    assert text_of(xml) == f"${tex}$"


def test_a_formula_that_is_only_a_picture_leaves_no_empty_brackets() -> None:
    picture = "<inline-formula><inline-graphic/></inline-formula>"
    assert text_of(f"<p>The rate ({picture}) and {picture}, as said.</p>") == "The rate and, as said."


def test_acknowledgements_notes_and_references_stay_out() -> None:
    back = (
        "<back><ack><title>Thanks</title><p>Mum</p></ack><fn-group><fn fn-type='conflict'><p>none</p></fn></fn-group>"
        "<app-group><app><title>Appendix</title><p>Proof.</p></app></app-group>"
        "<ref-list><title>References</title><ref><label>1</label><element-citation><name><surname>Li</surname>"
        "<given-names>X</given-names></name><year>1999</year></element-citation></ref></ref-list></back>"
    )
    assert text_of("<p>x</p>", back=back) == "x\n\nAppendix\n\nProof."
    with_references = read_article(article("<p>x</p>", back=back), references=True).text
    assert with_references.endswith("Proof.\n\nReferences\n\n1 Li X 1999")


def test_notes_at_the_end_stay_in_as_paragraphs() -> None:
    note = '<fn id="n1"><label>1</label><p>As told by <italic>Bee</italic>.</p></fn>'
    back = f'<back><fn-group><title>Notes</title>{note}<fn fn-type="other"><p>More.</p></fn></fn-group></back>'
    assert text_of("<p>x</p>", back=back) == "x\n\nNotes\n\n1 As told by Bee.\n\nMore."


def test_a_chapter_of_a_book_reads_as_an_article() -> None:
    chapter = (
        '<book-part-wrapper><book-part><book-part-meta><book-part-id book-part-id-type="doi">10.1/x</book-part-id>'
        "<title-group><title>Bees</title></title-group><abstract><p>Short.</p></abstract></book-part-meta>"
        "<body><sec><title>One</title><p>Text.</p></sec></body></book-part></book-part-wrapper>"
    )
    paper = read_article(chapter.encode())
    assert (paper.title, paper.metadata["doi"]) == ("Bees", "10.1/x")
    assert paper.text == "Bees\n\nShort.\n\nOne\n\nText."


def test_an_article_in_a_wrapper_is_found() -> None:
    wrapped = b"<OAI><record><article><body><p>x</p></body></article></record></OAI>"
    assert read_article(wrapped).text == "x"


def test_names_of_characters_and_a_false_encoding_are_no_fault() -> None:
    body = "<article><body><p>A&nbsp;&eacute;&ndash;%s</p></body></article>"
    assert read_article((body % "é").encode()).text == "A é–é"
    declared = '<?xml version="1.0" encoding="UTF-8"?>' + body % "é"
    assert read_article(declared.encode("latin-1")).text == "A é–é"
    assert read_article((body % "é").encode("utf-16")).text == "A é–é"


def test_html_that_stands_in_an_article_as_text_loses_its_tags() -> None:
    assert text_of("<p>&lt;p align='x'&gt;&lt;b&gt;Bees&lt;/b&gt; fly.&lt;/p&gt;</p>") == "Bees fly."


def test_a_comma_loses_the_space_before_it() -> None:
    assert text_of("<p>The <italic>Veja </italic>, of 2021 , said: a ; b.</p>") == "The Veja, of 2021, said: a ; b."


def test_translations_stay_out_and_replies_stay_in() -> None:
    back = (
        '<sub-article article-type="translation"><body><p>Traduit.</p></body></sub-article>'
        '<sub-article article-type="reply"><front-stub><title-group><article-title>Reply</article-title></title-group>'
        "</front-stub><body><p>Indeed.</p></body></sub-article>"
    )
    assert text_of("<p>x</p>", back=back) == "x\n\nReply\n\nIndeed."


def test_code_keeps_its_lines() -> None:
    assert text_of("<p>Run:<preformat>a = 1\n  b</preformat></p>") == "Run:\n\na = 1\n  b"


def test_a_namespaced_article_reads_the_same() -> None:
    plain = b"<article><body><sec><title>T</title><p>x</p></sec></body></article>"
    assert read_article(plain.replace(b"<article", b'<article xmlns="urn:jats"')).text == read_article(plain).text


def test_entities_of_characters_are_read_without_a_dtd_and_no_file_is_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("sesame")
    declared = f'<!ENTITY x SYSTEM "{secret.as_uri()}"><!ENTITY bee "Bee">'
    prolog = f'<!DOCTYPE article PUBLIC "-//NLM//DTD" "no-such.dtd" [{declared}]>'
    text = text_of("<p>A&ndash;B &mu; &bee; &x;</p>", prolog=prolog)
    assert text.startswith("A–B μ Bee")
    assert "sesame" not in text


def test_entities_that_multiply_cost_nothing() -> None:
    declared = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in pairwise("abcdefghij"))
    prolog = f'<!DOCTYPE article [<!ENTITY a "lollol">{declared}]>'
    for body in ("<p>&j; x</p>", '<p id="&j;">x</p>'):
        with pytest.raises(NotAPaper) as fault:
            read_article(article(body, prolog=prolog))
        assert fault.value.reason == "bad_xml"


@pytest.mark.parametrize("name", ["sec", "sup", "list-item", "mml:mrow", "alternatives"])
def test_what_the_parser_lets_through_is_never_too_deep_to_read(name: str) -> None:
    deep = f"<{name}>" * 240 + "<p>x</p>" + f"</{name}>" * 240
    assert "x" in text_of(f"<p>x</p>{deep}")


@pytest.mark.parametrize("piece", ["&lt;!--&lt;/", "&lt;a &lt;/", "a , ", "<xref ref-type='fn'/>, ", "&nbsp;"])
def test_a_hostile_article_costs_bounded_time(piece: str) -> None:
    started = time.process_time()
    read_article(f"<article><body><p>x {piece * 50_000}</p></body></article>".encode())
    assert time.process_time() - started < 3  # a tenth of that is usual


@pytest.mark.parametrize(
    ("xml", "reason", "value"),
    [
        (b"<article><body>", "bad_xml", "line 1"),
        (b"", "bad_xml", "empty"),
        (b"not xml", "bad_xml", "expected"),
        (b"<a>" * 300 + b"</a>" * 300, "bad_xml", "depth"),
        (b"<html><p>x</p></html>", "not_an_article", "html"),
        (b"<article><body><sec><title>Only</title></sec></body></article>", "empty_text", None),
        (b" " * (MOST_BYTES + 1), "bad_xml", "bytes"),
    ],
)
def test_what_is_no_article_is_refused_with_its_reason(xml: bytes, reason: str, value: str | None) -> None:
    with pytest.raises(NotAPaper) as fault:
        read_article(xml)
    assert fault.value.reason == reason
    assert (value or "") in (fault.value.value or "").lower()
