"""Fill the parts of the reference that the code decides: `python docs/generate.py`.

A page holds them between `<!-- made: NAME -->` and `<!-- end -->`; a test says when one is stale.
The drawings in docs/drawings that are made of architectures are written, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from data_pipeline import store
from data_pipeline.labels import CLASSES
from data_pipeline.options import PrepareOptions
from definitions.schema import known_keys
from definitions.toml import LONGEST_LINE, MOST_BYTES
from models import Architecture, family, family_names, load_space, reference, reference_names
from models.architecture import Value
from models.constraints import LONGEST
from models.diagram import architecture_svg
from models.ecg_cnn_2 import XRESNET1D50
from models.factors import Factor
from models.references import REFERENCES
from models.space import FAMILIES, MOST_CONSTRAINTS
from models.space_file import FactorRange, SpaceFile
from search.database import view
from search.definition import MOST_TRIALS, StudyDefinition
from search.template import as_toml
from search.training.metric_table import METRICS

PAGES = Path(__file__).parent
PART = re.compile(r"(<!-- made: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)

FACTORS = {
    "depth": "blocks in all, spread evenly over the stages",
    "stages": "stages; each halves the length once",
    "width": "channels of the first stage, rounded to a multiple of 8",
    "width_growth": "width multiplier from one stage to the next",
    "kernel_size": "kernel size of the block's middle convolution",
    "stem_kernel": "kernel size of the stem (stride 2)",
    "expansion": "inner over outer width of a block; above 1 it is an inverted bottleneck",
    "grouping": "groups of the middle convolution: one, groups of 16 channels, or depthwise",
    "residual": "residual connections around every block",
    "se_ratio": "squeeze-and-excitation: hidden over gated width; 0 is none",
    "stem": "one convolution, or three as in xresnet1d50: the first two of half the width",
    "stem_width": "channels of the stem over those of the first stage",
    "stem_pool": "max pooling at the end of the stem in place of the first stage's halving",
    "halving": "pooling and a 1×1 convolution before the blocks, or a stride in the first one",
    "head": "global average; with the maxima beside it; or those and a hidden layer of 128",
    "activation": "after every normalisation but the block's last, and after its sum",
    "attention": "last stages that end in self-attention",
    "w_init": "channels of the stem",
    "w_0": "channels of the first block",
    "w_a": "slope of the widths over the blocks",
    "w_m": "width multiplier between stages, to which widths are quantised",
    "group_width": "channels per group of the 3-wide convolution",
    "bottleneck": "inner over outer width of a block",
}
TRIAL_COLUMNS = {
    "study": ("", "name of the study"),
    "trial": ("", "number of the trial within its study, from 0"),
    "state": ("", "`waiting`, `running`, `complete` or `fail`"),
    "role": ("", "`sample`, `replicate`, `control`, `reference`, `refine` or `confirm`"),
    "architecture_hash": ("", "stands for the network that is built; equal networks share it"),
    "device": ("", "what it was trained on"),
    "host": ("", "machine of the worker"),
    "git_commit": ("", "version of the code, where it ran from a repository"),
    "recipe_hash": ("", "stands for every setting of the training"),
    "data_hash": ("", "stands for signals, labels and split of the store"),
    "failure": ("", "why it failed"),
    "seed": ("", "seed of weights, batches and augmentation"),
    "flops": ("FLOPs", "forward pass of one record, exact: 2 × multiply-accumulates"),
    "params": ("", "trainable parameters, exact"),
    "activations": ("elements", "outputs of all convolutions for one record, exact"),
    **{
        one.name: (one.unit, f"{one.meaning}; validation records")
        for one in METRICS.of(()).values()
    },
    "objective": ("", "metric that the study compares networks by"),
    "value": ("", "that metric; validation records"),
    "seconds": ("s", "the whole trial, scoring included"),
    "records_per_second": ("1/s", "training alone"),
    "peak_memory_bytes": ("bytes", "tensors on a GPU; the whole process on a CPU"),
    "latency_ms": ("ms", "one record on the machine that `ecgscale latency` ran on"),
    "started": ("UTC", "when the last attempt began"),
    "finished": ("UTC", "when it ended"),
    "architecture": ("JSON", "the network, resolved to its layers"),
}
RECORD_COLUMNS = {
    "record": "name of the record",
    "window": "number of the window within a long record, from 0",
    "source": "data set it comes from",
    "patient": "patient, where known; empty otherwise",
    "split": "`train`, `validation` or `test`",
    "fraction": "smallest of the nested low-data shares of the training split that holds it",
    "age": "years",
    "sex": "`female`, `male` or empty",
    "sample_rate_hz": "Hz, of the raw record",
    "seconds": "s, length of the raw record",
    "start_seconds": "s, where the window begins in it",
    "valid_samples": "samples that are signal; zeros follow",
    "flat_leads": "leads without a signal, joined by `|`",
    "nan_leads": "leads with missing values, joined by `|`",
    "clipped_samples": "values that left the range of int16",
    "dx": "all its codes, scored or not, joined by `|`",
    "path": "header file below the raw folder",
}


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def command_line() -> str:
    """Return the help of every command."""
    from typer.cli import get_docs_for_click
    from typer.main import get_command
    from typer.models import Context

    from ecgscale.cli import app

    command = get_command(app)
    context = Context(command, info_name="ecgscale")
    text = get_docs_for_click(obj=command, ctx=context, name="ecgscale", title="Made")
    first = text.index("\n## ")  # the list of commands is the table of contents of the page
    own = re.search(r"\n(\* `--version`.*?)\n\n", text[:first], re.DOTALL)
    assert own is not None
    options = f"Options of `ecgscale` itself, for every command:\n\n{own[1]}\n"
    return f"{options}{text[first:].rstrip()}\n"


def factors(space: str) -> str:
    """Return the factors of a design space with their ranges."""
    drawn = FAMILIES[space]
    rows = [
        (f"`{one.name}`", _range(one), drawn.allowed(one), FACTORS[one.name])
        for one in drawn.factors
    ]
    text = table(("factor", "values", "in a space of your own", "what it is"), rows)
    if drawn.constraints:
        text += f"\nConstraints: {', '.join(f'`{one}`' for one in drawn.constraints)}.\n"
    return text


def networks(names: Sequence[str]) -> str:
    """Return the exact costs of networks for one record of 12 leads × 1,000 samples."""
    rows = []
    for name in names:
        cost = (family if name in family_names() else reference)(name).cost()
        source = REFERENCES[name].source if name in REFERENCES else ""
        millions = (f"{value / 1e6:,.2f}" for value in (cost.flops, cost.params, cost.activations))
        rows.append((f"`{name}`", *millions, *([source] if source else [])))
    head = ["network", "FLOPs (M)", "parameters (M)", "activations (M)"]
    return table([*head, "source"] if len(rows[0]) > len(head) else head, rows)


def diagnoses() -> str:
    """Return the scored diagnoses."""
    rows = [(f"`{one.abbreviation}`", one.name, ", ".join(one.codes)) for one in CLASSES]
    return table(("class", "diagnosis", "SNOMED CT"), rows)


def records() -> str:
    """Return the columns of a store's table of records."""
    kinds = {"str": "text", "int64": "whole number", "float64": "number"}
    rows = [
        (f"`{name}`", kinds[kind], RECORD_COLUMNS[name])
        for name, kind in store.RECORD_COLUMNS.items()
    ]
    return table(("column", "type", "meaning"), rows)


def trial_columns() -> str:
    """Return the columns of the SQL view."""
    names = ["study", "trial", "state", *view.TEXT_ATTRIBUTES, *view.NUMBER_ATTRIBUTES]
    names += ["macro_f1", "objective", "value", "started", "finished", "architecture"]
    rows = []
    for name in names:
        unit, meaning = TRIAL_COLUMNS[name.removeprefix("test_")]
        if name.startswith("test_"):
            meaning = f"`{name.removeprefix('test_')}` on test records, of role `confirm` alone"
        kind = "number" if name in {*view.NUMBER_ATTRIBUTES, "macro_f1", "value"} else "text"
        kind = {"trial": "integer", "architecture": "jsonb"}.get(name, kind)
        kind = "timestamp" if unit == "UTC" else kind
        rows.append((f"`{name}`", kind, unit, meaning))
    return table(("column", "type", "unit", "meaning"), rows)


def keys(definition: type) -> str:
    """Return every key of a definition with its default, what it may be and what it means."""
    parts: dict[str, list[Sequence[str]]] = {}
    for key in known_keys(definition):
        default = "" if key.default is None else f"`{as_toml(key.default)}`"
        name = f"`{key.name}`" + (f" (`{key.option}`)" if key.option else "")
        parts.setdefault(key.section, []).append((name, default, key.expected, key.meaning))
    return "\n".join(
        (f"### `[{section}]`\n\n" if section else "")
        + table(("key", "default", "may be", "meaning"), rows)
        for section, rows in parts.items()
    )


def limits() -> str:
    """Return the bounds of files."""
    return (
        f"A file is TOML in UTF-8, at most {MOST_BYTES:,} bytes with lines of at most "
        f"{LONGEST_LINE:,} characters.\nA study has at most {MOST_TRIALS:,} trials: networks, "
        f"replicates × seeds and controls. A space has at most\n{MOST_CONSTRAINTS} constraints of "
        f"at most {LONGEST} characters.\n"
    )


def metric_table() -> str:
    """Return the metrics."""
    rows = [
        (f"`{one.name}`", one.meaning, one.unit, "more" if one.higher else "less")
        for one in METRICS.of(()).values()
    ]
    return table(("metric", "definition", "values", "better"), rows)


MADE = {
    "metrics": metric_table,
    "limits": limits,
    "study-keys": partial(keys, StudyDefinition),
    "space-keys": partial(keys, SpaceFile),
    "range-keys": partial(keys, FactorRange),
    "store-keys": partial(keys, PrepareOptions),
    "command-line": command_line,
    **{f"factors-{name}": partial(factors, name) for name in FAMILIES},
    "networks-ours": lambda: networks(family_names()),
    "networks-reference": lambda: networks(reference_names()),
    "diagnoses": diagnoses,
    "records": records,
    "trial-columns": trial_columns,
}


def filled(page: str) -> str:
    """Return a page with its made parts as the code has them now."""
    return PART.sub(lambda part: f"{part[1]}\n{MADE[part[2]]()}\n{part[3]}", page)


def drawings() -> dict[str, str]:
    """Return drawings of architectures by file name."""
    space = load_space("ecg-cnn")
    middle: dict[str, Value] = {"depth": 8, "stages": 4, "width": 32, "width_growth": 1.6}
    middle |= {"kernel_size": 7, "stem_kernel": 7, "expansion": 1.0, "grouping": "dense"}
    middle |= {"residual": True, "se_ratio": 0.0}
    shown: dict[str, dict[str, Value]] = {"middle": {}, "deep": {"depth": 24}}
    shown |= {"narrow": {"width_growth": 1.0}, "stages": {"stages": 6}}
    made: dict[str, Architecture] = {
        f"factor-{name}.svg": space.resolve({**middle, **change}) for name, change in shown.items()
    }
    made |= {f"{name}.svg": family(name) for name in family_names()}
    made["ecg-cnn-2-xresnet1d50.svg"] = load_space("ecg-cnn-2").resolve(XRESNET1D50)
    titles = {f"factor-{name}.svg": _title(change) for name, change in shown.items()}
    titles["ecg-cnn-2-xresnet1d50.svg"] = "nearly xresnet1d50"
    return {
        name: architecture_svg(one, title=titles.get(name, name.removesuffix(".svg"))) + "\n"
        for name, one in made.items()
    }


def _title(change: dict[str, Value]) -> str:
    words = [f"{name} = {value}" for name, value in change.items()]
    return words[0] if words else "depth = 8, stages = 4, width_growth = 1.6"


def _range(factor: Factor) -> str:
    if factor.kind == "choice":
        return ", ".join(f"`{as_toml(choice)}`" for choice in factor.choices)
    step = "" if factor.step is None else f" in steps of {factor.step:g}"
    return f"{factor.low:g} to {factor.high:g}{step}{', log-uniform' if factor.log else ''}"


if __name__ == "__main__":
    for path in sorted(PAGES.rglob("*.md")):
        text = path.read_text("utf-8")
        if (now := filled(text)) != text:
            path.write_text(now, "utf-8")
            print(f"{path}: written anew")
    for name, drawing in drawings().items():
        (PAGES / "drawings" / name).write_text(drawing, "utf-8")
