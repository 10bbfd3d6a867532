"""Words out of templates: the only place where a code becomes a sentence.

Every folder with something to say has a text.toml of Jinja templates: [refusal] by code,
[gate.CODE] with what a check `asks`, what was `found` and what its failure `means`, [say] for
paragraphs, and [block.NAME] with the title and the caption of a figure or table.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, StrictUndefined

from analysis.page import quantities
from analysis.page.blocks import FigureBlock, GridBlock, Kind, Paragraph, TableBlock
from analysis.page.text import listed, plural
from analysis.stats.interval import PERCENT
from analysis.stats.refusal import Gate, Refusal

if TYPE_CHECKING:
    from analysis.page.style import Drawn

SHARED = ("stats", "surrogates", "report")  # folders beside questions/


def say(refusal: Refusal) -> str:
    """Put a refusal into one sentence, with a capital and a full stop."""
    folder, _, code = refusal.code.partition(".")
    return sentence(template(folder, f"refusal.{code}", refusal.values))


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def gate_words(gate: Gate, part: str) -> str:
    """Say of a gate what it `asks`, what was `found`, or what its failure `means`."""
    folder, _, code = gate.code.partition(".")
    return template(folder, f"gate.{code}.{part}", gate.values)


def gates_frame(gates: Sequence[Gate]) -> pd.DataFrame:
    """Return one row per gate."""
    rows = [(gate_words(g, "asks"), g.passed, gate_words(g, "found")) for g in gates]
    return pd.DataFrame(rows, columns=["gate", "passed", "detail"])


def template(folder: str, key: str, values: Mapping[str, Any]) -> str:
    """Fill a template of a folder, by its dotted key."""
    text = _environment().from_string(_lookup(folder, key)).render(values)
    return re.sub(" +", " ", text).strip()


@dataclass(frozen=True, slots=True)
class Text:
    """The templates of one folder, as the blocks of a page."""

    folder: str

    def __call__(self, key: str, **values: Any) -> str:
        """Fill a template of [say]."""
        return template(self.folder, f"say.{key}", values)

    def has(self, key: str) -> bool:
        """Say whether the folder has a template of [say]."""
        return key in _texts(self.folder).get("say", {})

    def paragraph(self, key: str, kind: Kind = "text", **values: Any) -> Paragraph:
        """Fill a template of [say] into a paragraph."""
        return Paragraph(self(key, **values), kind)

    def figure(self, name: str, drawn: Drawn, key: str = "", **values: Any) -> FigureBlock:
        """Put a figure under the title and caption of [block.KEY], by default of its name."""
        return FigureBlock(name, *self._heads(key or name, values), drawn)

    def grid(
        self, name: str, panels: Sequence[FigureBlock], key: str = "", **values: Any
    ) -> GridBlock:
        """Put panels side by side under one title and caption."""
        return GridBlock(name, *self._heads(key or name, values), tuple(panels))

    def table(
        self,
        name: str,
        shown: pd.DataFrame,
        data: pd.DataFrame | None = None,
        key: str = "",
        **values: Any,
    ) -> TableBlock:
        """Put a table under its title and caption; `data` is what its CSV holds."""
        return TableBlock(name, *self._heads(key or name, values), shown, data)

    def _heads(self, key: str, values: Mapping[str, Any]) -> tuple[str, str]:
        title, caption = (
            template(self.folder, f"block.{key}.{part}", values) for part in ("title", "caption")
        )
        return title, caption


def _gates(gates: Sequence[Gate], part: str) -> str:
    """List what failed gates ask with what was found, or what their failure means."""
    if part == "means":
        return listed([gate_words(gate, part) for gate in gates])
    return "; ".join(f"{gate_words(g, 'asks')} ({gate_words(g, 'found')})" for g in gates)


@cache
def _environment() -> Environment:
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {"level": PERCENT}
    environment.filters |= {
        "words": quantities.words,
        "names": lambda names: listed([quantities.words(name) for name in names]),
        "listed": lambda items: listed([str(item) for item in items]),
        "plural": plural,
        "short": quantities.short,
        "score": quantities.score,
        "percent": quantities.percent,
        "p": quantities.p_value,
        "quantity": lambda name: quantities.quantity(name).name,
        "fixed": quantities.fixed,
        "three": "{:.2g}".format,
        "exp": math.exp,
        "refusals": lambda refusals: "; ".join(say(one).rstrip(".") for one in refusals),
        "gates": _gates,
    }
    return environment


@cache
def _texts(folder: str) -> dict[str, Any]:
    where = files("analysis") / ("" if folder in SHARED else "questions") / folder / "text.toml"
    return tomllib.loads(where.read_text(encoding="utf-8")) if where.is_file() else {}


def _lookup(folder: str, key: str) -> str:
    found: Any = _texts(folder)
    for part in key.split("."):
        found = found[part]
    # Line ends within a paragraph are only for whoever edits the file.
    return " ".join(line.strip() for line in str(found).strip().splitlines())
