"""A file's name and beginning -> its programming language, by the names of GitHub Linguist in lower case."""

from __future__ import annotations

import re

from pipeline.ingest.code.ambiguous import AMBIGUOUS

_BY_EXTENSION = {
    "ada": "adb ads", "agda": "agda", "antlr": "g4", "apex": "apex trigger", "applescript": "applescript scpt",
    "asciidoc": "adoc asciidoc", "assembly": "asm nasm s", "autohotkey": "ahk", "autoit": "au3", "awk": "awk gawk",
    "ballerina": "bal", "batchfile": "bat cmd", "bibtex": "bib", "bicep": "bicep", "bison": "bison", "c": "c idc",
    "c#": "cs csx cake", "c++": "cpp cc cxx c++ hpp hh hxx h++ ipp tcc txx inl tpp cppm ixx", "chapel": "chpl",
    "clojure": "clj cljs cljc edn bb", "cmake": "cmake", "cobol": "cob cbl cobol cpy", "coffeescript": "coffee",
    "common lisp": "lisp lsp asd ny", "crystal": "cr", "css": "css", "csv": "csv", "cuda": "cu cuh",
    "cython": "pyx pxd pxi", "d": "di", "dart": "dart", "diff": "diff patch", "dhall": "dhall", "eiffel": "e",
    "elixir": "ex exs", "elm": "elm", "emacs lisp": "el emacs", "erlang": "erl hrl xrl yrl", "f#": "fsi fsx",
    "fish": "fish", "fluent": "ftl", "fortran": "for f77 fpp", "fortran free form": "f90 f95 f03 f08 fypp",
    "gdscript": "gd", "gettext catalog": "po pot", "gherkin": "feature", "gleam": "gleam",
    "glsl": "glsl vert frag geom comp tesc tese", "gnuplot": "gnuplot gp plt", "go": "go", "gradle": "gradle",
    "graphql": "graphql gql graphqls", "graphviz (dot)": "dot gv", "groovy": "groovy gvy gsh", "hack": "hack hhi",
    "haml": "haml", "handlebars": "hbs handlebars", "haskell": "hs hsc", "haxe": "hx hxsl",
    "hcl": "hcl nomad tf tfvars", "hlsl": "hlsl fx fxh", "html": "html htm xhtml", "html+erb": "erb",
    "idris": "idr lidr", "inform 7": "ni", "ini": "ini cfg prefs properties dof", "janet": "janet",
    "java": "java jav", "javascript": "js mjs cjs jsx es6 es jsm",
    "json": "json map geojson jsonl topojson webmanifest", "json with comments": "jsonc code-workspace",
    "json5": "json5", "jsonnet": "jsonnet libsonnet", "julia": "jl", "jupyter notebook": "ipynb",
    "kotlin": "kt kts ktm", "latte": "latte", "lean": "lean", "less": "less", "linker script": "ld lds", "llvm": "ll",
    "lua": "lua rockspec nse p8", "m4": "m4", "m4sugar": "ac", "t4": "tt t4", "makefile": "mk mak make",
    "markdown": "md markdown mdown mkd mdwn mkdown livemd", "mathematica": "wl wls nb mt", "mdx": "mdx",
    "metal": "metal", "mlir": "mlir", "modelica": "mo", "mojo": "mojo", "nim": "nim nims nimble", "nix": "nix",
    "nunjucks": "njk", "objective-c++": "mm", "ocaml": "ml mli eliom mll mly", "odin": "odin", "opencl": "opencl",
    "org": "org", "pascal": "pas dpr lpr pascal", "perl": "pm plx ph psgi",
    "php": "php php3 php4 php5 phps phtml ctp", "plsql": "pls pkb pks plb plsql", "pod": "pod",
    "powershell": "ps1 psm1 psd1", "prolog": "prolog plt", "protocol buffer": "proto", "pug": "pug jade",
    "puppet": "pp", "purescript": "purs", "python": "py pyi pyw py3 gyp gypi wsgi pyt", "qml": "qml qbs",
    "qmake": "pri", "racket": "rkt rktd rktl scrbl", "raku": "raku rakumod p6 pm6 pl6", "raml": "raml",
    "razor": "cshtml razor", "rdoc": "rdoc", "reason": "re rei", "rescript": "res resi",
    "restructuredtext": "rst rest", "rmarkdown": "rmd qmd", "roff": "1 2 3 4 5 6 7 8 9 man me ms mdoc",
    "ruby": "rb gemspec rake ru podspec builder jbuilder", "rust": "rs", "sas": "sas", "sass": "sass",
    "scala": "scala sbt sc", "scheme": "scm ss sld sls", "scss": "scss", "sed": "sed",
    "shell": "sh bash zsh ksh command bats ebuild", "smalltalk": "st", "smt": "smt2 smt", "solidity": "sol",
    "sparql": "sparql rq", "sql": "sql ddl dml", "standard ml": "sml sig fun", "starlark": "bzl star",
    "stata": "do ado mata", "stylus": "styl", "svelte": "svelte", "svg": "svg", "swift": "swift",
    "systemverilog": "sv svh vh", "tcl": "tcl tm itk", "tex": "tex sty ltx dtx ins", "text": "txt",
    "thrift": "thrift", "toml": "toml", "tsv": "tsv", "tsx": "tsx", "turtle": "ttl", "twig": "twig",
    "typescript": "mts cts", "vala": "vala vapi", "vhdl": "vhd vhdl vho", "vim script": "vim vimrc vmb",
    "visual basic .net": "vb vbhtml", "vue": "vue", "web ontology language": "owl", "webassembly": "wat wast",
    "webidl": "webidl", "wgsl": "wgsl",
    "xml": "xml xsd xsl wsdl xaml csproj vbproj fsproj vcxproj props targets resx nuspec plist ui rng dita kml gpx",
    "xslt": "xslt", "yacc": "y yy", "yaml": "yml yaml sublime-syntax", "zig": "zig zon",
}  # fmt: skip
"""Language -> the endings of its files that no other language has."""

_BY_NAME = {
    "makefile": "Makefile GNUmakefile Kbuild BSDmakefile makefile Makefile.am Makefile.in Makefile.inc",
    "dockerfile": "Dockerfile Containerfile", "cmake": "CMakeLists.txt",
    "ruby": "Gemfile Rakefile Vagrantfile Podfile Guardfile Capfile Brewfile Fastfile Berksfile Thorfile "
    "Appraisals Dangerfile .irbrc .pryrc",
    "shell": ".bashrc .bash_profile .bash_aliases .profile .zshrc .zshenv .zprofile PKGBUILD gradlew .envrc "
    "configure", "groovy": "Jenkinsfile",
    "starlark": "BUILD BUILD.bazel WORKSPACE WORKSPACE.bazel MODULE.bazel Tiltfile BUCK", "go module": "go.mod",
    "go checksums": "go.sum", "python": "SConstruct SConscript wscript Snakefile .pythonstartup",
    "meson": "meson.build meson_options.txt", "r": ".Rprofile", "vim script": ".vimrc .gvimrc _vimrc .nvimrc",
    "emacs lisp": ".emacs Cask", "gradle": "build.gradle settings.gradle", "nginx": "nginx.conf",
    "maven pom": "pom.xml", "perl": "cpanfile Makefile.PL Build.PL", "php": ".php_cs .php", "elixir": "mix.lock",
    "erlang": "rebar.config rebar.lock", "toml": "Cargo.lock poetry.lock uv.lock Pipfile pdm.lock",
    "json": "composer.lock Pipfile.lock .all-contributorsrc",
    "json with comments": "tsconfig.json jsconfig.json .eslintrc.json .babelrc .jshintrc .jslintrc "
    "devcontainer.json", "yaml": ".clang-format .clang-tidy .gemrc CITATION.cff pubspec.lock glide.lock yarn.lock",
    "dotenv": ".env", "ini": ".editorconfig .flake8 .npmrc .pylintrc .coveragerc",
    "git config": ".gitconfig .gitmodules", "git attributes": ".gitattributes",
    "ignore list": ".gitignore .dockerignore .npmignore .eslintignore .prettierignore",
    "text": "LICENSE LICENCE COPYING NOTICE AUTHORS CONTRIBUTORS INSTALL README TODO NEWS CHANGES CHANGELOG THANKS "
    "MAINTAINERS OWNERS CODEOWNERS VERSION requirements.txt", "just": "justfile Justfile .justfile",
    "procfile": "Procfile", "haskell": ".ghci", "ocaml": ".ocamlinit", "dune": "dune dune-project",
    "cabal config": "cabal.project", "javascript": "Jakefile", "common lisp": ".sbclrc", "kconfig": "Kconfig",
    "mercury": "Mmakefile",
}  # fmt: skip
"""Language -> whole names of its files."""

_INTERPRETERS = {
    "python": "python python2 python3 pypy pypy3 ipython uv", "shell": "sh bash zsh ksh dash ash mksh",
    "fish": "fish", "perl": "perl perl5", "ruby": "ruby jruby rbx macruby",
    "javascript": "node nodejs bun d8 rhino gjs", "typescript": "deno ts-node tsx", "php": "php php8", "r": "Rscript",
    "lua": "lua luajit texlua", "awk": "awk gawk mawk nawk", "tcl": "tclsh wish expect", "groovy": "groovy",
    "scala": "scala", "julia": "julia", "elixir": "elixir", "erlang": "escript",
    "haskell": "runhaskell runghc runhugs", "ocaml": "ocaml ocamlrun", "clojure": "clojure bb",
    "common lisp": "sbcl clisp ecl", "scheme": "guile csi scsh", "racket": "racket", "swift": "swift",
    "makefile": "make", "sed": "sed gsed", "powershell": "pwsh", "raku": "raku perl6", "crystal": "crystal",
    "nix": "nix-shell", "dart": "dart", "gnuplot": "gnuplot", "kotlin": "kotlin kscript", "d": "rdmd",
    "prolog": "swipl yap", "just": "just",
}  # fmt: skip
"""Language -> programs that a script's first line may name."""


def _turned(table: dict[str, str]) -> dict[str, str]:
    return {word: language for language, words in table.items() for word in words.split()}


_EXTENSIONS, _NAMES, _PROGRAMS = (_turned(table) for table in (_BY_EXTENSION, _BY_NAME, _INTERPRETERS))

LANGUAGES = frozenset((*_BY_EXTENSION, *_BY_NAME, *_INTERPRETERS))
"""What a name or a first line may tell; those of `AMBIGUOUS` endings come on top."""

_SHEBANG = re.compile(r"#![ \t]*(?:\S*/)?env(?:[ \t]+(?:-\S+|\w+=\S*))*[ \t]+(\S+)|#![ \t]*(?:\S*/)?(\S+)")
_MODELINE = re.compile(r"-\*-[ \t]*(?:mode:[ \t]*)?([\w+#-]{1,20})[ \t]*(?:;[^\n]{0,100})?-\*-", re.IGNORECASE)
_MODES = {"c++": "c++", "c": "c", "python": "python", "sh": "shell", "perl": "perl", "ruby": "ruby",
          "objc": "objective-c", "prolog": "prolog", "octave": "matlab", "matlab": "matlab", "lisp": "common lisp",
          "makefile": "makefile", "tcl": "tcl", "scheme": "scheme", "cperl": "perl", "js": "javascript",
          "fundamental": "text"}  # fmt: skip

_TEMPLATES = ("in", "template", "tmpl", "example", "sample", "dist", "bak", "orig")
"""Endings behind the true one: config.py.example is Python."""


def language_of(path: str, text: str) -> str | None:
    """The language of a file, from its name, its first line and, where an ending is shared, what stands in it.

    None where nothing tells it.
    """
    name = path.rpartition("/")[2]
    if found := _NAMES.get(name):
        return found
    stem, dot, extension = name.rpartition(".")
    if dot and stem and extension.lower() in _TEMPLATES and "." in stem:
        stem, _, extension = stem.rpartition(".")
    if dot and stem:
        kind = extension if extension in AMBIGUOUS else extension.lower()
        if kind in AMBIGUOUS:
            return _declared(text) or AMBIGUOUS[kind](text)
        if found := _EXTENSIONS.get(kind):
            return found
    return _dockerfile(name) or _declared(text) or ("xml" if text[:100].lstrip("\ufeff").startswith("<?xml") else None)


def _dockerfile(name: str) -> str | None:
    low = name.lower()
    return "dockerfile" if low.startswith("dockerfile.") or low.endswith((".dockerfile", ".containerfile")) else None


def _declared(text: str) -> str | None:
    """The language that the first lines name: `#!/usr/bin/env python3`, `-*- mode: c++ -*-`."""
    first = text[:500].split("\n", 2)[:2]
    if first and (line := _SHEBANG.match(first[0])):
        program = (line[1] or line[2]).rpartition("/")[2]
        return _PROGRAMS.get(program) or _PROGRAMS.get(program.rstrip("0123456789."))
    mode = _MODELINE.search("\n".join(first))
    return _MODES.get(mode[1].lower()) if mode else None
