"""One self-contained HTML page about a store."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd

from data_pipeline.drawing import draw
from data_pipeline.errors import DataError
from data_pipeline.store import SPLITS, Store


def write_page(store: Store, out: Path, *, examples: int = 4) -> Path:
    """Write a page with label counts, sources, lengths, what was put aside, and a few ECGs."""
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
        ("Records", f"{store.records['record'].nunique():,} in {len(store):,} rows"),
        ("Put aside", f"{len(store.quarantine):,}"),
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
        "<h2>Diagnoses</h2>",
        _labels(store),
        "<h2>Sources</h2>",
        _sources(store),
        "<h2>Lengths of the recordings</h2>",
        _lengths(store),
        "<h2>Put aside</h2>",
        _quarantine(store),
        "<h2>A few ECGs</h2>",
        *(f"<figure>{draw(store, row)}</figure>" for row in _examples(store, examples)),
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
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _bar(value: int, most: int) -> str:
    if value == 0:
        return ""
    share = 100 * value / most
    return f'<span class="bar" style="width:{share:.1f}%"></span>'


def _labels(store: Store) -> str:
    by_split = {split: store.labels[store.rows(split)].sum(axis=0) for split in SPLITS}
    counts = store.label_counts()
    most = max(counts.values())
    order = sorted(counts, key=lambda name: -counts[name])
    rows = []
    for name in order:
        index = store.classes.index(name)
        parts = [f"{by_split[split][index]:,}" for split in SPLITS]
        rows.append([html.escape(name), f"{counts[name]:,}", *parts, _bar(counts[name], most)])
    return _table(["Class", "Rows", *(split.capitalize() for split in SPLITS), ""], rows)


def _sources(store: Store) -> str:
    records = store.records
    aside = store.quarantine["source"].value_counts()
    rows = []
    for source, group in records.groupby("source"):
        splits = [f"{(group['split'] == split).sum():,}" for split in SPLITS]
        rates = ", ".join(f"{rate:g}" for rate in sorted(group["sample_rate_hz"].unique()))
        put = int(aside.get(source, 0))
        rows.append([html.escape(str(source)), f"{len(group):,}", *splits, rates, f"{put:,}"])
    for source in aside.index.difference(list(records["source"].unique())):
        rows.append([html.escape(str(source)), "0", "0", "0", "0", "", f"{aside[source]:,}"])
    head = ["Source", "Rows", *(s.capitalize() for s in SPLITS), "Rates, Hz", "Put aside"]
    return _table(head, rows)


def _lengths(store: Store) -> str:
    seconds = store.records.drop_duplicates("path")["seconds"]
    edges = [0, 5, 9.99, 10.01, 20, 60, 600, np.inf]
    names = ["below 5 s", "5–10 s", "10 s", "10–20 s", "20–60 s", "1–10 min", "10 min and more"]
    counts = pd.cut(seconds, edges, labels=names, right=False).value_counts().reindex(names)
    most = int(counts.max())
    rows = [[str(name), f"{n:,}", _bar(int(n), most)] for name, n in counts.items() if n]
    return _table(["Length", "Records", ""], rows)


def _quarantine(store: Store) -> str:
    if store.quarantine.empty:
        return "<p>Nothing.</p>"
    rows = []
    for reason, group in store.quarantine.groupby("reason"):
        first = group.iloc[0]
        example = html.escape(f"{first['record']}: {first['detail']}")
        rows.append([html.escape(str(reason)), f"{len(group):,}", example])
    return _table(["Reason", "Records", "Example"], rows)


def _examples(store: Store, count: int) -> list[int]:
    """Return a row of each of the commonest diagnoses, none twice."""
    chosen: list[int] = []
    for index in np.argsort(-store.labels.sum(axis=0), kind="stable"):
        rows = np.flatnonzero(store.labels[:, index])
        fresh = [int(row) for row in rows if int(row) not in chosen]
        if len(chosen) < count and fresh:
            chosen.append(fresh[0])
    return chosen
