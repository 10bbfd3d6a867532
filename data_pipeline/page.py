"""One self-contained HTML page about a store."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

from data_pipeline.cohort import GROUPS, Flow, characteristics, flow
from data_pipeline.drawing import draw, example_rows
from data_pipeline.errors import DataError
from data_pipeline.store import SPLITS, Store
from data_pipeline.summary import sentences


def write_page(store: Store, out: Path, *, examples: int = 4) -> Path:
    """Write a page with the cohort, sources, lengths, what is excluded, and a few ECGs."""
    try:
        out.write_text(page(store, examples), "utf-8")
    except OSError as error:
        raise DataError(f"Expected to write {out}, but that failed: {error.strerror}.") from error
    return out


def page(store: Store, examples: int = 4) -> str:
    """Return the page as text."""
    options = store.manifest["content"]["options"]
    band = options["band_hz"]
    facts = [
        ("Patients known", f"{store.records['patient'].replace('', np.nan).nunique():,}"),
        ("Form", f"12 leads × {store.samples:,} samples at {store.sample_rate_hz:g} Hz"),
        ("Band", "as recorded" if band is None else f"{band[0]:g}–{band[1]:g} Hz, zero phase"),
        ("Standardised", f"by {options['standardise']}".replace("by none", "no: millivolts")),
        ("Hash", f"<code>{store.hash}</code>"),
    ]
    warning = (
        '<p class="warning">These ECGs are synthetic: computed, not recorded from people.</p>'
        if store.synthetic
        else ""
    )
    rows = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in facts)
    parts = [
        f"<h1>{html.escape(store.path.resolve().name)}</h1>",
        warning,
        f"<table class=facts>{rows}</table>",
        "<h2>From files to splits</h2>",
        _flow(flow(store)),
        _told(store),
        "<h2>Cohort</h2>",
        _cohort(store),
        "<h2>Sources</h2>",
        _sources(store),
        "<h2>Lengths of the recordings</h2>",
        _lengths(store),
        "<h2>Excluded records</h2>",
        _excluded(store),
        "<h2>A few ECGs</h2>",
        *(f"<figure>{draw(store, row)}</figure>" for row in example_rows(store, examples)),
    ]
    style = files("data_pipeline").joinpath("page.css").read_text("utf-8")
    title = f"Store {html.escape(store.path.resolve().name)}"
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{style}</style>\n<body>{''.join(parts)}</body></html>\n"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _bar(value: int, most: int) -> str:
    if value == 0:
        return ""
    share = 100 * value / most
    return f'<span class="bar" style="width:{share:.1f}%"></span>'


def _flow(numbers: Flow) -> str:
    """Draw the flow of records as a paper does: down what is left, aside what is excluded."""
    lost = "".join(
        f"<li>{html.escape(reason)}: {count:,}</li>" for reason, count in numbers.excluded.items()
    )
    excluded = sum(numbers.excluded.values())
    windows = "" if numbers.rows == numbers.kept else f" in {numbers.rows:,} rows"
    splits = "".join(
        f"<div><strong>{split.capitalize()}</strong>{count:,}</div>"
        for split, count in numbers.records.items()
    )
    aside = f'<div class="aside"><strong>Excluded</strong>{excluded:,}<ul>{lost}</ul></div>'
    return (
        f'<div class="flow"><div><strong>Records found</strong>{numbers.found:,}</div>'
        f"{aside if excluded else ''}"
        f"<div><strong>Records in the store</strong>{numbers.kept:,}{windows}</div>"
        f'<div class="splits">{splits}</div></div>'
    )


def _told(store: Store) -> str:
    """List what the preparation had to tell, warnings first."""
    warnings = [
        f"<strong>Warning:</strong> {html.escape(text)}"
        for text in store.summary.get("warnings", ())
    ]
    told = warnings + [html.escape(text) for text in sentences(store.summary)]
    return f"<ul class=told>{''.join(f'<li>{text}</li>' for text in told)}</ul>" if told else ""


def _cohort(store: Store) -> str:
    table = characteristics(store)
    rows = [[html.escape(str(cell)) for cell in row] for row in table.itertuples(index=False)]
    head = ["", *(group.capitalize() for group in GROUPS)]
    return _table(head, rows).replace("<table>", "<table class=numbers>")


def _sources(store: Store) -> str:
    records = store.records
    excluded = store.excluded["source"].value_counts()
    rows = []
    for source, group in records.groupby("source"):
        splits = [f"{(group['split'] == split).sum():,}" for split in SPLITS]
        rates = ", ".join(f"{rate:g}" for rate in sorted(group["sample_rate_hz"].unique()))
        lost = int(excluded.get(source, 0))
        rows.append([html.escape(str(source)), f"{len(group):,}", *splits, rates, f"{lost:,}"])
    for source in excluded.index.difference(list(records["source"].unique())):
        rows.append([html.escape(str(source)), "0", "0", "0", "0", "", f"{excluded[source]:,}"])
    head = ["Source", "Rows", *(s.capitalize() for s in SPLITS), "Rates, Hz", "Excluded"]
    return _table(head, rows)


def _lengths(store: Store) -> str:
    seconds = store.records.drop_duplicates("path")["seconds"]
    edges = [0, 5, 9.99, 10.01, 20, 60, 600, np.inf]
    names = ["below 5 s", "5–10 s", "10 s", "10–20 s", "20–60 s", "1–10 min", "10 min and more"]
    counts = pd.cut(seconds, edges, labels=names, right=False).value_counts().reindex(names)
    most = int(counts.max())
    rows = [[str(name), f"{n:,}", _bar(int(n), most)] for name, n in counts.items() if n]
    return _table(["Length", "Records", ""], rows)


def _excluded(store: Store) -> str:
    if store.excluded.empty:
        return "<p>None.</p>"
    rows = []
    for reason, group in store.excluded.groupby("reason"):
        first = group.iloc[0]
        example = html.escape(f"{first['record']}: {first['detail']}")
        rows.append([html.escape(str(reason)), f"{len(group):,}", example])
    return _table(["Reason", "Records", "Example"], rows)
