"""The command blocks of the documentation, and what is claimed of each.

A block is run by the session of `test_session.py` after a comment `<!-- run -->`, or its page says
why not: `<!-- not run: REASON -->` before the block, or once before the first of a page.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    sorted(
        path.relative_to(ROOT).as_posix()
        for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("studies/**/*.md"))
        # Made of the commands' own help.
        if path.name != "command-line.md"
    )
)
CHECKED = ("bash", "python", "sql", "toml", "csv", "")
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
MARK = re.compile(r"<!-- (run|not run: [^>]+) -->\s*\Z")
PAGE_MARK = re.compile(r"<!-- (not run: [^>]+) -->\n\n(?! *```)")
SEPARATORS = ("&&", "||", ";", "|", "&")
REDIRECTIONS = (">", ">>", "<")
SUBSTITUTIONS = re.compile(r"\$\([^)]*\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `mark` is "run", "not run: REASON" or nothing, `title` a file to write."""

    page: str
    line: int
    language: str
    title: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str) -> Iterator[Block]:
    """Yield the blocks of a page in order."""
    text = (ROOT / page).read_text("utf-8")
    of_page = PAGE_MARK.search(text)
    for found in BLOCK.finditer(text):
        mark = MARK.search(text, 0, found.start())
        width = len(found["indent"])
        yield Block(
            page,
            text.count("\n", 0, found.start()) + 1,
            found["language"],
            found["title"] or "",
            "".join(line[width:] for line in found["text"].splitlines(keepends=True)),
            mark[1] if mark else of_page[1] if of_page else "",
        )


def commands(script: str) -> Iterator[list[str]]:
    """Yield every simple command of a script as words, without assignments and redirections."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(SUBSTITUTIONS.sub("WORD", line), posix=True, punctuation_chars="&|;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word not in SEPARATORS:
                words.append(word)
                continue
            if any(one in words for one in REDIRECTIONS):
                del words[min(words.index(one) for one in REDIRECTIONS if one in words) :]
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if words:
                yield words
            words = []
