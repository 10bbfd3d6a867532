"""The reference of what users write down, made from the definitions themselves.

python -m search.reference > docs/study-file.md
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from data_pipeline.options import PrepareOptions
from definitions.schema import KnownKey, known_keys
from definitions.toml import LONGEST_LINE, MOST_BYTES
from models.constraints import LONGEST
from models.factors import Factor
from models.space import FAMILIES, MOST_CONSTRAINTS
from models.space_file import FactorRange, SpaceFile
from search.definition import MOST_TRIALS, StudyDefinition

PAGE = """\
# What can be written down

*Made by `python -m search.reference > docs/study-file.md` from the definitions that check such
files; a test says when this page is stale.*

A file is TOML in UTF-8, at most {bytes:,} bytes with lines of at most {line:,} characters. A key
that is not listed here is refused. `ecgscale create --help` prints those of a study as a file to
copy.

## A study: `ecgscale create`, `ecgscale run`

At most {trials:,} trials in all: networks, replicates × seeds and controls. There are no more bins,
replicates or controls than networks in the sample.

{study}

## A design space of your own: `space = "mine.toml"`

{space}

A constraint has at most {longest} characters: factors, numbers, `+ - * / // %`, comparisons, `and`,
`or`, `not`; words are compared by `==` and `!=`. There are at most {constraints}.

Under `[factors]`, a value such as `stages = 4` fixes a factor; a table gives it another range:

{range}

{families}

## A store: `ecgscale prepare`, `PrepareOptions`

An option of the command is called like the key (`--seconds`) unless another name is given.

{store}
"""


def page() -> str:
    """Return the reference as Markdown."""
    return PAGE.format(
        bytes=MOST_BYTES,
        line=LONGEST_LINE,
        trials=MOST_TRIALS,
        longest=LONGEST,
        constraints=MOST_CONSTRAINTS,
        study=_tables(known_keys(StudyDefinition)),
        space=_tables(known_keys(SpaceFile)),
        range=_tables(known_keys(FactorRange)),
        families="\n\n".join(_family(name) for name in FAMILIES),
        store=_tables(known_keys(PrepareOptions)),
    )


def template() -> str:
    """Return a study's file that holds every key at its default, with what each may be."""
    lines = []
    section = ""
    for key in known_keys(StudyDefinition):
        if key.section != section:
            section = key.section
            lines.append(f"\n[{section}]")
        value = "…" if key.default is None else _toml(key.default)
        off = "# " if key.default is None else ""
        lines.append(f"# {key.meaning} {_sentence(key.expected)}\n{off}{key.name} = {value}")
    return "\n".join(lines)


def _tables(keys: Iterable[KnownKey]) -> str:
    parts: dict[str, list[KnownKey]] = {}
    for key in keys:
        parts.setdefault(key.section, []).append(key)
    return "\n\n".join(
        (f"### `[{section}]`\n\n" if section else "")
        + _table(
            ("key", "default", "may be", "meaning"),
            [
                (
                    f"`{key.name}`" + (f" (`{key.option}`)" if key.option else ""),
                    "" if key.default is None else f"`{_toml(key.default)}`",
                    key.expected,
                    key.meaning,
                )
                for key in members
            ],
        )
        for section, members in parts.items()
    )


def _family(name: str) -> str:
    family = FAMILIES[name]
    rows = [(f"`{one.name}`", _range(one), family.allowed(one)) for one in family.factors]
    constraints = ", ".join(f"`{text}`" for text in family.constraints)
    return (
        f'### `family = "{name}"`\n\n'
        + _table(("factor", "range of the family", "may be given"), rows)
        + (f"\n\nConstraints: {constraints}." if constraints else "")
    )


def _range(factor: Factor) -> str:
    if factor.kind == "choice":
        return ", ".join(_toml(choice) for choice in factor.choices)
    steps = "" if factor.step is None else f", step {factor.step:g}"
    return f"{factor.low:g} to {factor.high:g}{steps}{', log-uniform' if factor.log else ''}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float):
        return f"{value:g}".replace("e+0", "e")  # 2e6, as people write it
    return f'"{value}"' if isinstance(value, str) else str(value)


if __name__ == "__main__":
    print(page(), end="")
