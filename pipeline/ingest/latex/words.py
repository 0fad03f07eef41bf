"""The words of LaTeX: which commands stand for a sign, which take their arguments away, which environments are what."""

from __future__ import annotations

import re
import unicodedata


def words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


ACCENTS = {
    "`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "=": "\u0304", "u": "\u0306", ".": "\u0307",
    '"': "\u0308", "r": "\u030a", "H": "\u030b", "v": "\u030c", "d": "\u0323", "c": "\u0327", "k": "\u0328",
    "b": "\u0331",
}  # fmt: skip
"""Command -> the combining mark that follows its letter."""


def with_accent(letter: str, accent: str) -> str:
    """The letter under its accent as one character where there is one."""
    return unicodedata.normalize("NFC", letter[:1] + ACCENTS[accent]) + letter[1:]


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
    "textonehalf": "½", "textquarter": "¼", "textrangle": "⟩", "textlangle": "⟨", "textexclamdown": "¡",
    "textquestiondown": "¿",
    "textordfeminine": "ª", "textordmasculine": "º", "textohm": "Ω", "textnumero": "№", "cdots": "...",
    "quotedblbase": "„", "quotesinglbase": "‚", "guilsinglleft": "‹", "guilsinglright": "›", "glqq": "„", "grqq": '"',
    "flqq": "«", "frqq": "»", "og": "« ", "fg": " »", "ier": "er", "ieme": "e", "No": "N°", "AmS": "AMS",
    "micron": "µm", "arcsec": "″", "arcmin": "′", "deg": "°", "sun": "☉", "lbrack": "[", "rbrack": "]", "tab": " ",
    "MiKTeX": "MiKTeX", "XeTeX": "XeTeX", "LuaTeX": "LuaTeX", "pdfTeX": "pdfTeX", "AmSTeX": "AMS-TeX",
    "AmSLaTeX": "AMS-LaTeX", "REVTeX": "REVTeX", "BibLaTeX": "BibLaTeX",
    "cr": " ", "Box": "□", "lq": "'", "rq": "'", "lbrace": "{", "rbrace": "}",
    "textrightarrow": "→",
    "textleftarrow": "←", "checkmark": "✓", "textasteriskcentered": "*", "textcopyright": "©", "$": "$", "%": "%",
    "&": "&", "#": "#", "_": "_", "{": "{", "}": "}", " ": " ", ",": " ", ";": " ", ":": " ", "\\": " ", "\n": " ",
    "\t": " ", "-": "", "/": "", "@": "", "!": "", "*": "",
}  # fmt: skip
"""Command -> what is printed for it."""

DROPPED = {
    **dict.fromkeys(
        words_of(
            "index glossary vspace hspace includegraphics bibliographystyle thanks email affiliation "
            "address affil institute institution author authors keywords subjclass thispagestyle pagestyle "
            "mdfsetup tcbset tcbuselibrary lstMakeShortInline MakeShortVerb DeleteShortVerb includesvg epsfbox "
            "epsfig psfig "
            "plotone epsffile DeclareGraphicsRule DeclareGraphicsExtensions graphicspath setmainfont setsansfont "
            "setmonofont setmathfont newfontfamily defaultfontfeatures setdefaultlanguage setotherlanguage "
            "bibliographyunit bibdata bibstyle citation selectfont usefont pdfinfo pdfoutput hypertargetlabel "
            "institute inst emailAdd orcidID ORCID corres conference copyrightyear acmConference acmYear acmISBN "
            "acmDOI "
            "acmPrice acmVolume acmNumber acmArticle acmMonth acmJournal setcopyright ccsdesc received keyword ams "
            "vol copyrightinfo commby dateposted subjclassyear issueinfo editor editors contrib degree "
            "department supervisor urlstyle enlargethispage nopagebreak pagebreak addvspace hangindent penalty "
            "printindex printglossary makeglossaries glossarystyle FloatBarrier cleardoublepage "
            "slugcomment journalinfo archiveprefix primaryclass arxivnumber submitjournal software facility facilities "
            "watermark lettrineset KOMAoptions captionsetup floatname floatstyle restylefloat newfloat "
            "DeclareMathAlphabet SetMathAlphabet DeclareFontFamily  usetheme usecolortheme "
            "usefonttheme useoutertheme useinnertheme logo "
            "titlegraphic institutename SetAlgoLined LinesNumbered DontPrintSemicolon IncMargin DecMargin endnotetext "
            "ProvidesPackage ProvidesFile ProvidesClass NeedsTeXFormat AtBeginDocument AtEndDocument "
            "AtBeginSection AtBeginSubsection DeclareOption ExecuteOptions excludecomment includecomment includeonly "
            "acmSubmissionID acmBooktitle settopmatter authornote authornotemark authorsaddresses bstctlcite "
            "IEEEpubid IEEEoverridecommandlockouts IEEEtriggeratref pgfkeys tikzstyle usegdlibrary epsscale figurenum "
            "tablenum tablewidth tabletypesize tablecolumns startdata enddata colnumbers savebox sbox usebox "
            "lsthighlight "
            "inputminted lstinputlisting verbatiminput VerbatimInput setminted usemintedstyle externaldocument "
            "tableofcontents listoftables listofalgorithms blindtext lipsum kant "
            "cellcolor rowcolor columncolor rowcolors arrayrulecolor pagecolor hypersetup"
            "pagenumbering hypersetup refstepcounter stepcounter footnotemark marginpar "
            "usetikzlibrary tikzset graphicspath input@path color vskip hskip nocite usepackage "
            "PassOptionsToPackage sisetup lstset altaffilmark "
            "altaffiliation orcid ead pacs preprint received accepted revised published journal shorttitle "
            "shortauthors titlerunning authorrunning tocauthor toctitle dedicatory urladdr curraddr "
            "correspondingauthor collaboration indexsee indexdef todo TODO missingfigure fixme FIXME listoffigures "
            "hyphenation looseness "
            "allowdisplaybreaks theoremstyle pdfbookmark bookmarksetup special message typeout phantomsection "
            "vphantom hphantom phantom newcounter newlength newif newsavebox linespread captionsetup geometry "
            "fancyhead fancyfoot lhead rhead cfoot chead lfoot rfoot arraystretch citestyle setcitestyle "
            "numberstyle newblock hline cline cmidrule midrule toprule bottomrule definecolor markright "
            "sectionmark chaptermark qedhere includepdf pgfplotsset usepgfplotslibrary addbibresource "
            "ensurestackmath noopsort tableofcontents nomenclature glsadd acrodef hyperdef subfile@ documentclass "
            "documentstyle subfigure subfloat includestandalone svgwidth doi eprint MSC msc shortauthor"
        ),
        1,
    ),
    **dict.fromkeys(
        words_of(
            "setcounter addtocounter altaffiltext numberwithin counterwithin counterwithout rule setlength addtolength "
            "setbeamertemplate setbeamercolor setbeamerfont setbeamersize SetMathAlphabet "
            "settowidth settoheight settodepth markboth fancypagestyle DeclareUnicodeCharacter SetKwInOut SetKwData "
            "SetKwFunction SetKwInput SetKw SetKwProg counterwithin newtcolorbox newmdenv Crefformat crefformat "
            "crefrangeformat DeclareCaptionFormat DeclareCaptionLabelFormat DeclareAcronym newacronymstyle "
            "pdfstringdefDisableCommands AddToHook hyphenpenalty DeclareSIUnit DeclareFieldFormat "
            "renewbibmacro newbibmacro AtBeginEnvironment AtEndEnvironment apptocmd pretocmd newlist setlist"
        ),
        2,
    ),
    **dict.fromkeys(
        words_of(
            "addcontentsline crefname Crefname definecolor DeclareMathSymbol DeclareSymbolFont titleformat indexsee "
            "newacronym IfFileExists DeclareCaptionStyle colorlet titlespacing psfrag"
        ),
        3,
    ),
    **dict.fromkeys(
        words_of(
            "centering noindent indent clearpage newpage maketitle appendix hfil vfill vfil bigskip medskip smallskip"
        ),
        0,
    ),
    "nolimits": 0,
}
"""Command -> how many arguments vanish with it (its optional ones always do)."""

REFERENCES = {
    **dict.fromkeys(words_of("ref Ref refstar labelcref vref zref subref autorefstar thmref secref olref"), "r"),
    **dict.fromkeys(words_of("eqref Eqref refeq labelcref"), "e"),
    **dict.fromkeys(words_of("cref crefrange vcref"), "c"),
    **dict.fromkeys(words_of("autoref Cref Crefrange Autoref vCref thref fullref zcref"), "C"),
    **dict.fromkeys(words_of("pageref vpageref cpageref Cpageref autopageref"), "p"),
}
"""Command -> the form in which the number is printed (`numbers.reference`)."""

CITATION = re.compile(r"[a-zA-Z]*cite[a-zA-Z]*\Z|bibentry\Z|autocites\Z")
REFERENCE = re.compile(r"[a-zA-Z]*ref\Z")
"""Commands that print a citation, or in some other way the number of something elsewhere."""

NOT_A_REFERENCE = frozenset({"hyperref", "href", "xref", "nameref", "Nameref"})

TAKES = {
    "href": (2, 1), "hyperlink": (2, 1), "hypertarget": (2, 1), "textcolor": (2, 1), "colorbox": (2, 1),
    "fcolorbox": (3, 2), "texorpdfstring": (2, 0), "parbox": (2, 1), "raisebox": (2, 1), "scalebox": (2, 1),
    "resizebox": (3, 2), "rotatebox": (2, 1), "multicolumn": (3, 2), "multirow": (3, 2), "foreignlanguage": (2, 1),
    "ifthenelse": (3, 1), "ifdefined": (0, None), "acrodef": (2, None),
    "textcolour": (2, 1), "ctable": (4, None),
    "reflectbox": (1, 0), "hl": (1, 0), "pdftooltip": (2, 0),
    "textlatin": (1, 0), "shortstack": (1, 0),
    "added": (1, 0), "deleted": (1, None), "replaced": (2, 0), "sout": (1, None), "st": (1, None), "uline": (1, 0),
    "makebox": (1, 0), "framebox": (1, 0), "adjustbox": (2, 1), "fontsize": (2, None),
    "selectlanguage": (1, None), "hyperref": (1, 0), "uppercase": (1, 0), "newcolumntype": (2, None),
    "footnotesize": (0, None), "stackrel": (2, 1), "acro": (2, 1), "bibinfo": (2, 1), "bibfield": (2, 1),
}  # fmt: skip
"""Command -> (how many arguments, which of them is printed)."""

HEADINGS = {
    **{name: name for name in words_of("part chapter section subsection subsubsection paragraph subparagraph")},
    "addchap": "", "addsec": "", "frametitle": "", "framesubtitle": "", "minisec": "", "specialsection": "",
    "subtitle": "", "heading": "", "subheading": "", "subsubheading": "", "unnumberedsection": "",
}  # fmt: skip
"""Heading -> the counter that it steps."""

TRANSPARENT = words_of(
    "emph textbf textit textrm textsf texttt textsc textsl textup textmd textnormal text bf it em rm sf tt sc sl "
    "bfseries itshape rmfamily sffamily ttfamily scshape slshape upshape mdseries normalfont small large Large LARGE "
    "huge Huge tiny scriptsize normalsize footnotesize underline mbox hbox leavevmode protect centerline relax "
    "raggedright raggedleft boldmath unboldmath displaystyle textstyle mathrm null sloppy "
    "frenchspacing nonfrenchspacing onehalfspacing doublespacing singlespacing onecolumn twocolumn mainmatter "
    "frontmatter backmatter makeatletter makeatother newblock samepage begingroup endgroup bgroup egroup"
)
"""Commands that vanish and leave their arguments to be printed."""

MATHS = words_of(
    "equation align gather multline eqnarray displaymath math flalign alignat xalignat dmath dgroup IEEEeqnarray "
    "mathpar"
)
VERBATIM = words_of(
    "verbatim Verbatim lstlisting minted alltt BVerbatim LVerbatim SaveVerbatim verbatimtab semiverbatim Sinput "
    "Soutput "
    "CodeInput CodeOutput Code"
)
PICTURES = words_of(
    "tikzpicture tikzcd pgfpicture picture comment filecontents CCSXML pspicture asy feynmandiagram fmffile "
    "overpic psfrags pgfonlayer axis circuitikz forest dependency tikz-dependency CD "
    "asydef luacode pycode sagesilent Scode forestfig nomarkdown"
)
"""Skipped unread up to their end."""

FLOATS = words_of(
    "figure table wrapfigure wraptable sidewaystable sidewaysfigure SCfigure floatingfigure marginfigure "
    "margintable tabular tabularx tabulary longtable tabu longtabu tblr NiceTabular xtabular mpsupertabular tabbing "
    "supertabular deluxetable landscapetable threeparttable keywords keyword IEEEkeywords titlepage "
    "subfigure subtable teaserfigure floatrow scheme chart graph textblock"
)
"""Left out but for their captions: the cells of a table in a line make no sentences."""

FLOAT_KINDS = {
    **dict.fromkeys(
        words_of("figure wrapfigure sidewaysfigure SCfigure floatingfigure marginfigure teaserfigure"), "figure"
    ),
    **dict.fromkeys(
        words_of("table wraptable sidewaystable margintable longtable deluxetable landscapetable"), "table"
    ),
    **dict.fromkeys(words_of("algorithm algorithm2e"), "algorithm"),
    "tablecaption": "table",
}
"""Float -> the counter of its captions."""

ALGORITHMS = words_of("algorithm algorithm2e algorithmic algorithmicx algpseudocode pseudocode procedure function")
LISTS = words_of(
    "itemize enumerate description compactitem compactenum compactdesc inparaenum list trivlist asparaenum "
    "tasks compactlist inparaitem questions parts steps references"
)
QUIET = words_of(
    "document center minipage multicols spacing doublespace singlespace raggedright landscape appendix appendices "
    "tiny normalsize scriptsize Large quoting verse frame CJK CJK* otherlanguage frontmatter mainmatter "
    "backmatter abstract summary onehalfspace samepage acknowledgements acks ack "
    "flushleft flushright quote quotation small footnotesize large subequations sloppypar "
    "acknowledgments"
)
"""Environments without arguments that only set their text apart."""

ARGUMENTS = {
    "minipage": 1,
    "multicols": 1,
    "spacing": 1,
    "list": 2,
    "otherlanguage": 1,
    "tasks": 0,
    "block": 0,
    "frame": 0,
}
"""Environment -> how many groups after its name are not text."""

THEOREMS = {
    **{name: name.capitalize() for name in words_of("theorem lemma corollary proposition definition remark example")},
    **{name: name.capitalize() for name in words_of("conjecture claim proof fact observation notation assumption")},
    **{name: name.capitalize() for name in words_of("problem question exercise hypothesis axiom property note case")},
    "thm": "Theorem", "lem": "Lemma", "cor": "Corollary", "prop": "Proposition", "defn": "Definition", "rem": "Remark",
    "ex": "Example", "conj": "Conjecture", "obs": "Observation", "pf": "Proof", "demo": "Proof",
}  # fmt: skip
"""Environment -> the name printed before its text; a submission's own \\newtheorem goes first."""

UNNUMBERED = words_of("proof pf demo notation note case")
"""Theorems without a number unless the submission defines them."""
