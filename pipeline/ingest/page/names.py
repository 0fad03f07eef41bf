"""What the names in a page mean: tags, attributes, and the words that authors put into class, id and role."""

from __future__ import annotations

from enum import IntFlag
from functools import cache

import numpy as np
import numpy.typing as npt

Table = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]
"""Open-addressed: (hashes, 0 where free; values). A power of two of slots."""

TAGS = (
    "", "other", "html", "body", "main", "article", "section", "div", "center", "form", "header", "footer", "nav",
    "aside", "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "menu", "dir", "li", "dl", "dt", "dd", "table",
    "caption", "thead", "tbody", "tfoot", "tr", "td", "th", "blockquote", "pre", "listing", "figure", "figcaption",
    "address", "details", "summary", "fieldset", "hgroup", "search", "hr", "dialog",
    "br", "img", "input", "meta", "link", "area", "base", "col", "embed", "param", "source", "track", "wbr", "frame",
    "script", "style", "title", "textarea", "iframe", "noembed", "noframes", "noscript", "xmp",
    "template", "svg", "math", "select", "option", "optgroup", "button", "datalist", "object", "audio", "video",
    "canvas", "map", "applet", "rp", "rt", "rtc", "progress", "meter", "output", "label", "legend", "frameset",
    "a", "annotation", "head", "colgroup",
)  # fmt: skip
"""The number of a tag is its place here. Compiled kernels know the numbers: add at the end, and change them too."""


def number_of(name: str) -> int:
    """The number of a tag."""
    return TAGS.index(name)


BLOCK, VOID, RAW, SKIPPED = 1, 2, 4, 8
"""What a tag is: set apart from what surrounds it; without an end; holding no markup; holding nothing to read."""

_BLOCKS = TAGS[TAGS.index("html") : TAGS.index("br")]
_VOIDS = ("hr", *TAGS[TAGS.index("br") : TAGS.index("script")])
_RAW = TAGS[TAGS.index("script") : TAGS.index("template")]
_SKIPPED = ("dialog", *TAGS[TAGS.index("template") : TAGS.index("a")], "annotation")


class Mark(IntFlag):
    """What an element says of itself by its attributes."""

    NAVIGATION = 1
    FOOTER = 2
    BANNER = 4
    SIDEBAR = 8
    COMMENTS = 16
    SHARE = 32
    RELATED = 64
    ADVERT = 128
    POPUP = 256
    BYLINE = 512
    HIDDEN = 1024
    CONTENT = 2048
    MAIN = 4096
    LINK = 8192
    """An `a` with `href`."""
    FRAGMENT = 1 << 15
    """A link to a place on the page itself."""
    NEGATION = 1 << 14
    """Of a word alone: the word behind it says what is not there."""
    SECTION = 1 << 16
    """A section of a document: its id is an address that is made from its heading, and says nothing of its part."""
    TEX = 1 << 17
    """What is in it is TeX."""


ASIDE = (
    Mark.NAVIGATION | Mark.FOOTER | Mark.BANNER | Mark.SIDEBAR | Mark.COMMENTS | Mark.SHARE | Mark.RELATED
    | Mark.ADVERT | Mark.POPUP | Mark.BYLINE
)  # fmt: skip
"""What stands beside the main text."""

WORDS = {
    Mark.NAVIGATION: "nav navbar navigation navi navlinks menu menus submenu breadcrumb breadcrumbs crumb crumbs "
    "pagination pager paging pagenav prevnext skip skiplink skiplinks sitemap toolbar topbar tabs tablist toc "
    "tableofcontents sphinxsidebar rellinks jump catlinks navbox navibar navcontainer mainmenu mainnav",
    Mark.FOOTER: "footer foot colophon copyright bottombar imprint impressum disclaimer legal pagefoot printfooter",
    Mark.BANNER: "masthead banner logo branding tagline topnav siteheader pageheader sitename",
    Mark.SIDEBAR: "sidebar sidebars aside widget widgets rail infobox complementary marginalia supplemental",
    Mark.COMMENTS: "comment comments commentlist commentform disqus respond reply replies trackback trackbacks "
    "pingback pingbacks discussion guestbook kommentar kommentare commentaires comentarios",
    Mark.SHARE: "share sharing shares social sharedaddy addthis addtoany shariff socialmedia follow likes bookmark "
    "sharebar sharethis jetpack",
    Mark.RELATED: "related recommended recommendations recommendation similar popular trending yarpp outbrain taboola "
    "upnext morelinks promo promos promoted latest mostread tagcloud authorbox authorinfo biography",
    Mark.ADVERT: "ad ads advert adverts advertisement advertising adsense sponsor sponsored sponsors dfp adbox "
    "werbung anzeige donate donation",
    Mark.POPUP: "cookie cookies gdpr consent popup modal overlay lightbox newsletter subscribe subscription signup "
    "paywall login signin register registration toast snackbar noticebar tooltip dropdown",
    Mark.BYLINE: "byline author authors dateline timestamp postmeta entrymeta tags taglist permalink rating ratings "
    "views avatar vcard postinfo metadata meta pubdate postmetadata printlink category categories edit",
    Mark.HIDDEN: "hidden visuallyhidden invisible offscreen noprint headerlink editsection mweditsection hide "
    "dnone sronly screenreadertext screenreaderonly accessibilitytext noscript anchorlink hiddenvisually",
    Mark.CONTENT: "content article main post entry body story text prose markdown blog hentry bodytext articlebody "
    "postbody maincontent lead lede intro introduction summary standfirst abstract document page primary "
    "articletext storybody posttext entrytext inhalt artikel contenu texte contenido texto",
    Mark.NEGATION: "no not without with has hide is can",
    Mark.SECTION: "section sect sect1 sect2 sect3 sect4 level1 level2 level3 level4 level5 level6 chapter",
}  # fmt: skip
"""Words of class and id, as themes and templates of many makers name the parts of a page."""

ROLES = {
    Mark.NAVIGATION: "navigation search menu menubar tablist toolbar",
    Mark.FOOTER: "contentinfo",
    Mark.BANNER: "banner",
    Mark.SIDEBAR: "complementary",
    Mark.POPUP: "dialog alertdialog alert status tooltip",
    Mark.MAIN: "main article articlebody mainentity",
}
"""Words of role (WAI-ARIA 1.2, landmarks) and of itemprop (schema.org)."""

ATTRIBUTES = (
    "", "class", "id", "role", "itemprop", "href", "hidden", "style", "aria-hidden", "alttext", "type", "encoding"
)  # fmt: skip
"""The number of an attribute is its place here."""

SEED, STEP = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
"""FNV-1a's 64-bit constants."""


def name_hash(name: str) -> int:
    """FNV-1a of a name in lower case, as the lexer computes it; never 0."""
    h = int(SEED)
    for byte in name.encode():
        h = ((h ^ byte) * int(STEP)) & (1 << 64) - 1
    return h or 1


AS_TAG, AS_ATTRIBUTE, AS_WORD, AS_ROLE = (np.uint64(name_hash(sign)) for sign in "<=.@")
"""What the hash of a name begins with, by what it names: all stand in one table."""


@cache
def table() -> Table:
    """Of tags, attributes, words of class and id, words of role."""
    numbers = {f"<{name}": number for number, name in enumerate(TAGS) if number > number_of("other")}
    numbers |= {f"={name}": number for number, name in enumerate(ATTRIBUTES) if number}
    for sign, words in ((".", WORDS), ("@", ROLES)):
        numbers |= {f"{sign}{word}": int(mark) for mark, line in words.items() for word in line.split()}
    slots = 1 << (4 * len(numbers)).bit_length()
    hashes, values = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
    for name, value in numbers.items():
        slot = name_hash(name) & slots - 1
        while hashes[slot]:
            slot = (slot + 1) & slots - 1
        hashes[slot], values[slot] = name_hash(name), value
    return hashes, values


@cache
def kinds() -> npt.NDArray[np.uint8]:
    """(tags,) BLOCK, VOID, RAW, SKIPPED of each tag."""
    found = np.zeros(len(TAGS), np.uint8)
    for flag, names in ((BLOCK, _BLOCKS), (VOID, _VOIDS), (RAW, _RAW), (SKIPPED, _SKIPPED)):
        found[[TAGS.index(name) for name in names]] |= np.uint8(flag)
    return found
