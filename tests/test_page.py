"""HTML -> facts and main text: what is read, what is left out, and what no author can break."""

from __future__ import annotations

import random
import time
from html.parser import HTMLParser

import numpy as np
import pytest

from pipeline.ingest.page import names
from pipeline.ingest.page.entities import references
from pipeline.ingest.page.lexer import CLOSE, OPEN, tokenize
from pipeline.ingest.page.names import TAGS
from pipeline.ingest.page.page import MOST_TAGS, HostileMarkupError, read_page
from pipeline.ingest.page.tree import grow

PROSE = "This is a sentence that is long enough to be the prose of a page, and it ends as sentences do."
MORE = "Another paragraph follows the first one with as many words, so that nobody doubts that this is text."


def text(html: str) -> str:
    return read_page(html.encode()).text


def blocks(html: str) -> list[str]:
    """Every block of text of a page, whether it is main text or not."""
    data = np.frombuffer(html.encode(), np.uint8)
    tokens = tokenize(data, html.count("<"), *names.table(), names.kinds())
    tree = grow(data, tokens, names.kinds(), *references())
    return [tree.text[a:b].tobytes().decode() for a, b in zip(tree.begin, tree.end, strict=True)]


class Oracle(HTMLParser):
    """The tags that the standard library's parser sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: list[tuple[int, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.append((OPEN, tag))

    def handle_endtag(self, tag: str) -> None:
        self.seen.append((CLOSE, tag))


@pytest.mark.parametrize(
    "html",
    [
        "<!doctype html><html lang=en><head><title>a</title></head><body class='x'>t</body></html>",
        "<p a=1 b='>' c=\">\">x<br>y<!-- <i> --><b>z</b></p>",
        "<script>if (a < b) { '<p>' }</script><style>p > a {}</style><em>x</em>",
        "a < b, 3 <4 and <5> &lt;b&gt; <u>c</u>",
        "<DIV\nCLASS=x\n><A HREF=y>z</A></DIV>",
        "<ul><li>a<li>b</ul><img src=x><input disabled value=>",
    ],
)
def test_tags_are_those_that_another_parser_sees(html: str) -> None:
    tokens = tokenize(np.frombuffer(html.encode(), np.uint8), html.count("<"), *names.table(), names.kinds())
    seen = [(what, TAGS[tag]) for what, tag in zip(tokens.what, tokens.tag, strict=True) if what]
    known = [(what, tag if tag in TAGS else "other") for what, tag in Oracle(html).seen]
    assert seen == known


def test_text_between_tags_is_kept_whole_with_white_space_collapsed_and_references_resolved() -> None:
    assert blocks("<p>  a\n\tb&nbsp; c <b>d</b>e &amp;&lt;&eacute;&#233;&#xe9;&#128; AT&T &nosuch; &notin;</p>") == [
        "a b c de &<ééé€ AT&T &nosuch; ∉"
    ]


def test_soft_hyphens_and_zero_width_spaces_are_nothing_and_joiners_are_kept() -> None:
    assert blocks("<p>Informa\u00adtions\u200bportal \ufeffx &shy;y नमस्\u200dते</p>") == [
        "Informationsportal x y नमस्\u200dते"
    ]


def test_what_tags_leave_open_ends_where_a_browser_ends_it() -> None:
    assert blocks("<p>a<p>b<div>c</div>d<ul><li>e<li>f<ul><li>g</ul>h</ul>i") == list("abcdefghi")
    assert blocks("<table><tr><td>1<td>2<tr><td>3</table>4") == ["1", "2", "3", "4"]
    assert blocks("<dl><dt>a<dd>b<dt>c<dd>d</dl>") == list("abcd")
    assert blocks("<h1>a<h2>b</h1>c") == list("abc")
    assert blocks("<b><p>a</b>b</p>c") == ["ab", "c"]


def test_one_line_break_ends_a_line_and_two_end_a_paragraph() -> None:
    assert blocks("<p>a<br>b<br/> <br>c") == ["a\nb", "c"]


def test_what_is_never_read_is_left_out() -> None:
    hidden = "<script>x</script><style>y</style><noscript>z</noscript><template>t</template><svg><text>u</text></svg>"
    forms = "<select><option>o</select><button>b</button><label>l</label><textarea>t</textarea><!-- c -->"
    unseen = "<span hidden>h</span><i aria-hidden=true>i</i><span style='color: red; DISPLAY : none'>j</span>"
    assert blocks(f"<div>a{hidden}{forms}{unseen}<span class=sr-only>k</span>d</div>") == ["ad"]


def test_the_sign_of_a_link_to_a_heading_is_no_text_of_it() -> None:
    assert blocks("<h2>Usage<a href='#usage'>¶</a></h2><p>a <a href=x>#</a> b") == ["Usage", "a b"]


ANNOTATED = "<annotation encoding='application/x-tex'>a &lt; b^2</annotation>"


@pytest.mark.parametrize(
    "formula",
    [
        "<math alttext='a &lt; b^2'><mi>a</mi></math>",
        f"<math><semantics><mi>a</mi>{ANNOTATED}</semantics></math>",
        "<math alttext='a &lt; b^2'><mi>a</mi><annotation encoding='application/x-tex'>no</annotation></math>",
        f"<span class=katex><math>{ANNOTATED}</math><i aria-hidden=true>a</i></span>",
        "<script type='math/tex; mode=display'>a < b^2</script><script type='text/javascript'>a < c</script>",
    ],
)
def test_a_formula_is_told_by_its_tex(formula: str) -> None:
    assert blocks(f"<p>So <b>{formula}</b> holds.") == ["So a < b^2 holds."]
    assert blocks(f"<p>So <b hidden>{formula}</b> holds.") == ["So holds."]


def test_headings_lists_tables_and_code_can_be_read() -> None:
    page = f"""<body><h1>Title</h1><p>{PROSE}</p><h2>Items</h2><ol><li>first<li>second<ul><li>inner</ul></ol>
        <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>
        <pre>\nif x:\n    y()  # 1 &lt; 2\n</pre><p>{MORE}</p>"""
    assert text(page) == (
        f"Title\n\n{PROSE}\n\nItems\n\n1. first\n2. second\n  - inner\n\na | b\n1 | 2\n\n"
        f"if x:\n    y()  # 1 < 2\n\n{MORE}"
    )


def test_what_stands_beside_the_text_is_left_out() -> None:
    beside = [
        "<nav><ul><li><a href=/>Home</a><li>Products of ours</ul></nav>",
        f"<div class='site-footer'><p>{MORE}</p></div>",
        f"<aside><p>{MORE}</p></aside>",
        f"<section id=comments><p>{MORE}</p></section>",
        f"<div class='postRelated'><p>{MORE}</p></div>",
        "<div class='cookie-banner'>We use cookies to make this site better for you and for us.</div>",
        "<p>© 2026 Somebody, all rights reserved by them</p>",
        "<div><a href=/a>One thing</a> <a href=/b>Another thing</a></div>",
    ]
    page = f"<body>{beside[0]}<div class=content><h1>Head</h1>{f'<p>{PROSE}</p>' * 6}</div>{''.join(beside[1:])}"
    assert text(page) == "Head" + f"\n\n{PROSE}" * 6


def test_a_part_goes_by_its_name_only_while_most_of_the_text_is_elsewhere() -> None:
    assert text(f"<body><div class=sidebar><p>{PROSE}</p><p>{MORE}</p></div></body>") == f"{PROSE}\n\n{MORE}"
    assert text(f"<body class='no-comments has-sidebar'><p>{PROSE}</p></body>") == PROSE
    assert text(f"<body><div class='field-label-hidden'><p>{PROSE}</p></div><p>{MORE}</p>") == f"{PROSE}\n\n{MORE}"


def test_parts_of_one_kind_go_or_stay_together() -> None:
    posts = "".join(f"<li><div class=comment><p>{n} {PROSE}</p>{f'<p>{MORE}</p>' * (7 - n)}</div>" for n in range(7))
    assert [part for part in map(str, range(7)) if f"{part} {PROSE}" in text(f"<body><ul>{posts}</ul>")] == [*"0123456"]
    article = f"<body><article>{f'<p>{MORE}</p>' * 9}</article><ul>{posts}</ul>"
    assert text(article) == "\n\n".join([MORE] * 9)


def test_the_id_of_a_section_is_an_address_and_says_nothing_of_what_it_is() -> None:
    names = ("cookie-objects", "comments", "the-latest-version", "menus")
    manual = "".join(f"<section id={name}><h2>{name}</h2><p>{name}: {PROSE}</p></section>" for name in names)
    assert all(f"{name}: {PROSE}" in text(f"<body><h1>Manual</h1>{manual}") for name in names)
    of_docutils = manual.replace("<section", "<div class=section").replace("/section", "/div")
    assert text(f"<body><h1>Manual</h1>{of_docutils}") == text(f"<body><h1>Manual</h1>{manual}")
    said = manual.replace("id=comments", "id=comments class=comments")
    assert f"comments: {PROSE}" not in text(f"<body><h1>Manual</h1>{said}")


@pytest.mark.parametrize(
    "end", ["<ul><li>2 eggs<li>milk</ul>", "<pre>x = 1</pre>", "<p>Yes, it is.", "<table><tr><td>1<td>2"]
)
def test_what_ends_the_text_in_the_same_part_belongs_to_it_however_short(end: str) -> None:
    kept = text(f"<body><div><p>{PROSE}</p><p>{PROSE}</p>{end}</div><div><p>Bye!</p></div>")
    assert kept.startswith(f"{PROSE}\n\n{PROSE}\n\n")
    assert "Bye" not in kept


def test_another_article_below_an_article_is_another_text_unless_it_is_nearly_as_large() -> None:
    def page(size: int) -> str:
        return f"<body><main><article>{f'<p>{PROSE}</p>' * 9}</article><article>{f'<p>{MORE}</p>' * size}</article>"

    assert MORE not in text(page(1))
    assert MORE in text(page(9))


def test_the_title_and_the_lead_before_the_text_belong_to_it() -> None:
    page = f"<body><main><header><h1>Head</h1><p>{MORE}</p></header><article>{f'<p>{PROSE}</p>' * 9}</article></main>"
    assert text(page).startswith(f"Head\n\n{MORE}\n\n{PROSE}")


def test_a_heading_that_nothing_follows_goes_and_one_over_a_heading_stays() -> None:
    page = f"<body><h1>A</h1><h2>B</h2><p>{PROSE}</p><h2>C</h2><h2>D</h2><p>{MORE}</p><h2>Related</h2>"
    assert text(page) == f"A\n\nB\n\n{PROSE}\n\nD\n\n{MORE}"


def test_terms_that_link_to_themselves_are_no_navigation() -> None:
    terms = "".join(
        f"<dt><a href='#{t}'>--{t}</a><dd>Says what {t} does to the output." for t in ("all", "save", "file")
    )
    page = f"<body><section><h1>OPTIONS</h1><p>{PROSE}</p><dl>{terms}</dl></section>"
    assert "--save\nSays what save does" in text(page)


def test_chinese_prose_is_prose_though_it_has_few_characters() -> None:
    assert text("<body><p>这是一个足够长的句子,它说明了网页的主要内容是什么。</p>").startswith("这是")


def test_a_page_of_a_few_words_keeps_them() -> None:
    assert text("<body><p>Hello.</p></body>") == "Hello."
    assert text("<body></body>") == text("") == text("<p") == ""


@pytest.mark.parametrize(
    ("head", "date"),
    [
        ("<meta property='article:published_time' content='2024-04-28T08:52:55+02:00'>", "2024-04-28"),
        ("<meta name=DC.date.issued content=2019-07-28>", "2019-07-28"),
        ("<time itemprop='datePublished' datetime='2020-01-23'>gestern</time>", "2020-01-23"),
        ('<script type=\'application/ld+json\'>{"datePublished": "2021-12-01T00:00Z"}</script>', "2021-12-01"),
        ("<meta name=date content='next year'>", None),
        ("<meta property='article:modified_time' content='2024-04-28'>", None),
    ],
)
def test_the_date_is_the_one_of_publication_if_the_page_tells_it(head: str, date: str | None) -> None:
    assert read_page(f"<html><head>{head}</head><p>{PROSE}".encode()).date == date


def test_title_and_language_are_those_the_page_tells() -> None:
    page = read_page(b"<html class=x lang='de-AT'><head><title>\n A &amp; B </title><svg><title>no</title></svg>")
    assert (page.title, page.language) == ("A & B", "de")
    assert (read_page(b"<title>A &#" + b"1" * 5000 + b"; B</title>").title or "").startswith("A ")
    bare = read_page(b"<p lang=fr>x")
    assert (bare.title, bare.language) == (None, None)


HOSTILE = {
    "nested blocks": b"<div>x" * 300_000,
    "nested inline": b"<b>x" * 300_000,
    "nested lists": b"<ul><li>x" * 150_000,
    "unclosed titles": b"<title>" * 300_000,
    "a tag of many words": b"<p " + b"a=b " * 3_000_000 + b">x",
    "an unclosed attribute": b"<p class='" + b"nav " * 3_000_000,
    "an endless line": b"x" * 10_000_000,
    "ampersands": b"&" * 10_000_000,
    "NULs": b"\0" * 10_000_000,
    "end tags of nothing": b"<div>" * 300 + b"</span>" * 300_000,
    "the longest references": b"&nGt;" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_page_takes_more_than_moments(name: str) -> None:
    read_page(b"<p>x")  # compiles
    begin = time.process_time()
    read_page(HOSTILE[name])
    assert time.process_time() - begin < 5


def test_a_page_of_too_many_tags_is_refused_unread() -> None:
    with pytest.raises(HostileMarkupError, match="tags"):
        read_page(b"<p>" * (MOST_TAGS + 1))


def test_a_page_broken_at_any_place_is_still_read_as_text() -> None:
    page = f"<html><head><title>T</title></head><body class='a'><ul><li>é<li>b</ul><pre>x</pre><a href='#'>¶</a>{PROSE}"
    draw = random.Random(7)
    pieces = [
        "<",
        ">",
        "&",
        "'",
        '"',
        "</",
        "<!--",
        "<table>",
        "<td>",
        "<pre>",
        "<br>",
        "&#x110000;",
        "\u00a0",
        "😀",
        "=",
    ]
    for _ in range(2_000):
        broken = page[draw.randrange(len(page)) :] + page[: draw.randrange(len(page))]
        for _ in range(draw.randrange(1, 8)):
            at = draw.randrange(len(broken))
            broken = broken[:at] + draw.choice(pieces) * draw.randrange(1, 4) + broken[at + draw.randrange(3) :]
        size = len(broken.encode())
        assert len(read_page(broken.encode()).text.encode()) <= 2 * size + 64
