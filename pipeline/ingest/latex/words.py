"""The words of LaTeX: which commands stand for a sign, which take their arguments away, which environments are what."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
    "b": "\u0331",
}  # fmt: skip
"""Command -> the combining mark that follows its letter."""

SIGNS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "aa": "å",
    "AA": "Å", "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ", "ng": "ŋ",
    "S": "§", "P": "¶", "dag": "†", "ddag": "‡", "copyright": "©", "pounds": "£", "euro": "€", "ldots": "...",
    "dots": "...", "textellipsis": "...", "TeX": "TeX", "LaTeX": "LaTeX", "LaTeXe": "LaTeX2e", "BibTeX": "BibTeX",
    "quad": " ", "qquad": " ", "enspace": " ", "thinspace": " ", "space": " ", "nobreakspace": " ", "newline": " ",
    "linebreak": " ", "hfill": " ", "hspace": " ", "and": ", ", "slash": "/", "textbackslash": "\\",
    "textasciitilde": "~", "textasciicircum": "^", "textless": "<", "textgreater": ">", "textbar": "|",
    "textunderscore": "_", "textdollar": "$", "textbraceleft": "{", "textbraceright": "}", "textdegree": "°",
    "degree": "°", "textmu": "µ", "texttimes": "×", "textpm": "±", "textregistered": "®", "texttrademark": "™",
    "textbullet": "•", "textquotedblleft": '"', "textquotedblright": '"', "textquoteleft": "'",
    "textquoteright": "'", "textquotedbl": '"', "textendash": "–", "textemdash": "—", "textperiodcentered": "·",
    "textdagger": "†", "textsection": "§", "texteuro": "€", "guillemotleft": "«", "guillemotright": "»",
    "textonehalf": "½", "lq": "'", "rq": "'", "lbrace": "{", "rbrace": "}", "textrightarrow": "→",
    "textleftarrow": "←", "checkmark": "✓", "textasteriskcentered": "*", "textcopyright": "©", "$": "$", "%": "%",
    "&": "&", "#": "#", "_": "_", "{": "{", "}": "}", " ": " ", ",": " ", ";": " ", ":": " ", "\\": " ", "\n": " ",
    "\t": " ", "-": "", "/": "", "@": "", "!": "", "*": "",
}  # fmt: skip
"""Command -> what is printed for it."""

DROPPED = {
    **dict.fromkeys(
        _words(
            "label index glossary vspace hspace includegraphics bibliographystyle thanks email affiliation "
            "address affil institute institution author authors keywords subjclass thispagestyle pagestyle "
            "pagenumbering hypersetup refstepcounter stepcounter footnote footnotemark footnotetext marginpar "
            "sidenote usetikzlibrary tikzset graphicspath input@path color vskip hskip nocite usepackage "
            "RequirePackage PassOptionsToPackage DeclareGraphicsExtensions sisetup lstset altaffilmark "
            "altaffiliation orcid ead pacs preprint received accepted revised published journal shorttitle "
            "shortauthors titlerunning authorrunning tocauthor toctitle dedicatory urladdr curraddr "
            "correspondingauthor collaboration indexsee indexdef todo TODO listoffigures hyphenation looseness "
            "allowdisplaybreaks theoremstyle pdfbookmark bookmarksetup special message typeout phantomsection "
            "vphantom hphantom phantom tag newcounter newlength newif newsavebox linespread captionsetup geometry "
            "fancyhead fancyfoot lhead rhead cfoot chead lfoot rfoot arraystretch citestyle setcitestyle "
            "numberstyle newblock hline cline cmidrule midrule toprule bottomrule definecolor markright "
            "sectionmark chaptermark qedhere includepdf pgfplotsset usepgfplotslibrary addbibresource "
            "ensurestackmath noopsort tableofcontents nomenclature glsadd acrodef hyperdef subfile@ documentclass "
            "documentstyle subfigure subfloat includestandalone svgwidth doi eprint MSC msc shortauthor"
        ),
        1,
    ),
    **dict.fromkeys(
        _words(
            "setcounter addtocounter altaffiltext numberwithin counterwithin counterwithout rule setlength addtolength "
            "settowidth markboth fancypagestyle DeclareUnicodeCharacter"
        ),
        2,
    ),
    **dict.fromkeys(
        _words(
            "addcontentsline crefname Crefname definecolor DeclareMathSymbol DeclareSymbolFont titleformat indexsee"
        ),
        3,
    ),
    **dict.fromkeys(
        _words(
            "centering noindent indent clearpage newpage maketitle appendix hfil vfill vfil bigskip medskip smallskip"
        ),
        0,
    ),
    "nolimits": 0,
}
"""Command -> how many arguments vanish with it (its optional ones always do)."""

REFERENCE = re.compile(
    r"(?:[a-zA-Z]*cite[a-zA-Z]*|[a-zA-Z]*ref|[cC]refrange|refeq|onlinecite|autocites|bibentry|citealias|footfullcite)\Z"
)
"""Commands that print a citation or the number of something elsewhere: they leave a gap."""

NOT_A_REFERENCE = frozenset({"hyperref", "href"})

TAKES = {
    "href": (2, 1), "hyperlink": (2, 1), "hypertarget": (2, 1), "textcolor": (2, 1), "colorbox": (2, 1),
    "fcolorbox": (3, 2), "texorpdfstring": (2, 0), "parbox": (2, 1), "raisebox": (2, 1), "scalebox": (2, 1),
    "resizebox": (3, 2), "rotatebox": (2, 1), "multicolumn": (3, 2), "multirow": (3, 2), "foreignlanguage": (2, 1),
    "ifthenelse": (3, 1), "makebox": (1, 0), "framebox": (1, 0), "adjustbox": (2, 1), "fontsize": (2, None),
    "selectlanguage": (1, None), "hyperref": (1, 0), "uppercase": (1, 0), "newcolumntype": (2, None),
    "footnotesize": (0, None), "stackrel": (2, 1), "acro": (2, 1), "bibinfo": (2, 1), "bibfield": (2, 1),
}  # fmt: skip
"""Command -> (how many arguments, which of them is printed)."""

HEADINGS = _words(
    "part chapter section subsection subsubsection paragraph subparagraph frametitle subtitle addchap addsec"
)

MATHS = _words(
    "equation align gather multline eqnarray displaymath math flalign alignat xalignat dmath dgroup IEEEeqnarray "
    "mathpar"
)
VERBATIM = _words("verbatim Verbatim lstlisting minted alltt BVerbatim LVerbatim SaveVerbatim verbatimtab")
PICTURES = _words(
    "tikzpicture tikzcd pgfpicture picture comment filecontents CCSXML pspicture asy feynmandiagram fmffile "
    "overpic psfrags"
)
"""Skipped unread up to their end."""

FLOATS = _words(
    "figure table wrapfigure wraptable sidewaystable sidewaysfigure SCfigure floatingfigure marginfigure "
    "margintable algorithm algorithm2e algorithmic algorithmicx tabular tabularx tabulary longtable "
    "supertabular deluxetable landscapetable threeparttable keywords keyword IEEEkeywords titlepage "
    "subfigure teaserfigure"
)
"""Left out but for their captions: the cells of a table in a line make no sentences."""

LISTS = _words("itemize enumerate description compactitem compactenum compactdesc inparaenum list trivlist asparaenum")
QUIET = _words(
    "document center flushleft flushright quote quotation small footnotesize large subequations sloppypar "
    "acknowledgments"
)
"""Environments without arguments that only set their text apart."""

THEOREMS = {
    **{name: name.capitalize() for name in _words("theorem lemma corollary proposition definition remark example")},
    **{name: name.capitalize() for name in _words("conjecture claim proof fact observation notation assumption")},
    **{name: name.capitalize() for name in _words("problem question exercise")},
    "thm": "Theorem", "lem": "Lemma", "cor": "Corollary", "prop": "Proposition", "defn": "Definition", "rem": "Remark",
}  # fmt: skip
"""Environment -> the name printed before its text; a submission's own \\newtheorem goes first."""
