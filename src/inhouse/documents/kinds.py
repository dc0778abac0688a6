"""Which files are documents."""

from __future__ import annotations

from pathlib import PurePath

PARSED = {
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".epub": "application/epub+zip",
    ".htm": "text/html",
    ".html": "text/html",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".pdf": "application/pdf",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".rtf": "application/rtf",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""Formats that a parser must read, by extension."""

_TEXT = """
art asm asp aspx awk bas bat bash bib brf c cc cfg cjs clj cljs cmake cmd coffee conf config cpp cs css csv cu cxx d
dart diff dockerfile el elm env erl ex exs f f90 fish for fs fsx gitignore go gql gradle graphql groovy h haml hcl
hpp hs hxx ics ifb ini ipynb jav java jl js json json5 jsonc jsonl jsx kt kts l less lisp log lua m make makefile
man mathml markdown md mdx me mht mhtml mime mjs mm ml mli ms mustache nim nix nws org pas patch pem php pl plist pm
po pot properties proto ps1 py pyi pyx r rake rb re rmd roff rs rst s sass scala scheme scm scss sed sgml sh shtml
sml sol sql srt st strings styl svg swift sv tcl tex text tf tfvars toml tr ts tsv tsx txt v vb vbs vcf vhd vhdl vim
vtt vue wat xhtml xml xsd xsl yaml yml zig zsh
"""
TEXT = frozenset(f".{name}" for name in _TEXT.split())
"""Formats that are read as they are."""

_TEXT_TYPES = frozenset(
    {
        "application/csv",
        "application/graphql",
        "application/javascript",
        "application/json",
        "application/jsonl",
        "application/sql",
        "application/toml",
        "application/typescript",
        "application/x-ndjson",
        "application/x-sh",
        "application/x-yaml",
        "application/xml",
        "application/yaml",
    }
)
_BY_TYPE = {media_type: extension for extension, media_type in PARSED.items()} | {"text/rtf": ".rtf"}

ACCEPTED: tuple[str, ...] = tuple(sorted(each.removeprefix(".") for each in {*PARSED, *TEXT}))
"""Extensions of documents, for error messages."""


def extension_of(filename: str, media_type: str = "") -> str | None:
    """A key of ``PARSED``, ``.txt`` for what is read as it is, or None for what is no document.

    The name decides; the media type where the name says nothing.
    """
    name = PurePath(filename.lower()).name
    suffix = PurePath(name).suffix or (f".{name}" if f".{name}" in TEXT else "")
    if suffix in PARSED:
        return suffix
    if suffix in TEXT:
        return ".txt"
    given = media_type.partition(";")[0].strip().lower()
    if given in _BY_TYPE:
        return _BY_TYPE[given]
    return ".txt" if given.startswith("text/") or given in _TEXT_TYPES else None


def is_accepted(filename: str, media_type: str = "") -> bool:
    """Whether a file of this name may be a document."""
    return extension_of(filename, media_type) is not None
