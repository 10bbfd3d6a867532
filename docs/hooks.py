"""Hooks of the site: pages that live outside docs/, links right in both places, formulas."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
# Where a page of the site lies in the repository, where that is not docs/.
OUTSIDE = {
    "index.md": "README.md",
    **{name: name for name in ("CONTRIBUTING.md", "CHANGELOG.md")},
    **{name: name for name in ("SECURITY.md", "CODE_OF_CONDUCT.md")},
    **{
        name: name
        for name in (
            "studies/ecg-cnn-2320/README.md",
            "studies/ludb/README.md",
            "studies/recipe/README.md",
        )
    },
    **{
        f"tests/benchmarks/results/{name}.md": f"tests/benchmarks/results/{name}.md"
        for name in ("data", "queue", "training")
    },
}
HOMES = {source: uri for uri, source in OUTSIDE.items()}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)(?=[)#])")
FENCE = re.compile(r"^( *)(```+).*?^\1\2 *$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that live elsewhere in the repository."""
    for uri, source in OUTSIDE.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that hold in the repository into links that hold in the site.

    A file that is no page is copied into the site. What does not exist stays as it is, and fails
    the build.
    """
    uri = page.file.src_uri
    here = OUTSIDE.get(uri, f"docs/{uri}")

    def moved(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), match[1]))
        if (ROOT / target).is_dir():
            target = f"{target}/README.md"
        if not (ROOT / target).is_file():
            return match[1]
        home = HOMES.get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(home) is None:
            files.append(File.generated(config, home, abs_src_path=str(ROOT / target)))
        return posixpath.relpath(home, posixpath.dirname(uri) or ".")

    parts, end = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [LINK.sub(moved, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(moved, markdown[end:])])


def mathml(source: str, *_: Any, **__: Any) -> str:
    """Draw a formula as MathML, which browsers show without a script."""
    from latex2mathml.converter import convert

    return f'<div class="formula">{convert(source, display="block")}</div>'
