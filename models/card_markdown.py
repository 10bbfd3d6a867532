"""A model card as Markdown, with the front matter that Hugging Face reads."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from models.card import ModelCard

TAGS = ("ecg", "electrocardiogram", "cnn")
MULTILABEL = (
    "Logits, one per class; their sigmoid is a probability, and a diagnosis is decided where it is "
    "above the threshold."
)
EXCLUSIVE = (
    "Logits, one per class; the classes exclude each other: their softmax are probabilities, and "
    "the most probable class is decided."
)
SYNTHETIC = "Trained on synthetic ECGs: this network knows nothing of real ones."


def card_markdown(card: ModelCard, summary: str, usage: str) -> str:
    """Return the card as Markdown; `summary` describes the network, `usage` is code to run it."""
    parts = [
        _front_matter(card),
        f"# {_text(card.name)}",
        f"**{SYNTHETIC}**" if card.synthetic_data else "",
        "A convolutional network that classifies ECGs, found with ecgscale. A research tool, no "
        "medical device: not validated for diagnosis, only as good as the data it has seen.",
        f"## Use\n\n```python\n{usage.strip()}\n```",
        "## Reads\n\n" + _reads(card),
        f"## Writes\n\n{EXCLUSIVE if card.exclusive else MULTILABEL}\n\n" + _classes(card),
        f"## Network\n\n{summary}",
        "## Scores\n\n" + _scores(card),
        "## Origin\n\n" + _origin(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(card: ModelCard) -> str:
    """Return YAML; every value is written as JSON, which is YAML too."""
    kind = "multi-class" if card.exclusive else "multi-label"
    lines = [
        f"license: {json.dumps(card.licence.lower())}",
        "library_name: ecgscale",
        f"tags: {json.dumps([*TAGS, f'{kind}-classification', 'ecgscale'])}",
    ]
    results = [(name, value) for name, value in card.scores.items() if math.isfinite(value)]
    if results:
        metrics = [
            {"type": name.split()[-1], "name": name, "value": round(value, 4)}
            for name, value in results
        ]
        index = {
            "name": card.name,
            "results": [
                {
                    "task": {"type": "other", "name": f"{kind} classification of ECGs"},
                    "dataset": {
                        "name": f"records of {card.study or 'the study'}, not trained on",
                        "type": f"ecgscale-store-{card.data_hash[:16] or 'unknown'}",
                    },
                    "metrics": metrics,
                }
            ],
        }
        lines.append(f"model-index: {json.dumps([index], ensure_ascii=False)}")
    return "\n".join(["---", *lines, "---"])


def _reads(card: ModelCard) -> str:
    read = (
        f"The network itself reads float32 (batch, {len(card.leads)}, {card.samples}): leads "
        f"{', '.join(card.leads)} at {card.sample_rate_hz:g} Hz."
    )
    if not card.preparation:
        return read
    return f"{read} What is done to a signal before:\n\n{_text(card.preparation)}"


def _classes(card: ModelCard) -> str:
    rows = [
        (
            name,
            card.diagnoses[k] if card.diagnoses else "",
            ", ".join(card.codes[k]) if card.codes else "",
            f"{card.thresholds[k]:.3f}" if card.thresholds else "",
            card.positives.get(name, ""),
        )
        for k, name in enumerate(card.classes)
    ]
    columns = ("class", "diagnosis", "codes", "threshold", "training records")
    used = [k for k, _ in enumerate(columns) if k in (0, 3) or any(row[k] != "" for row in rows)]
    return _table([columns[k] for k in used], ([row[k] for k in used] for row in rows))


def _scores(card: ModelCard) -> str:
    if not card.scores:
        return "None recorded."
    rows = []
    for name, value in card.scores.items():
        low, high = card.intervals.get(name, (math.nan, math.nan))
        limits = f"{low:.4f} to {high:.4f}" if math.isfinite(low) else ""
        rows.append((name, f"{value:.4f}" if math.isfinite(value) else "not defined", limits))
    if not card.intervals:
        return _table(("score", "value"), (row[:2] for row in rows))
    return _table(("score", "value", "95 % interval"), rows)


def _origin(card: ModelCard) -> str:
    facts = {
        "Study": card.study,
        "Seed": card.seed,
        "Data hash": card.data_hash,
        "Records": ", ".join(f"{count:,} {fold}" for fold, count in card.records.items()),
        "Trained in": card.precision,
        "Code": card.git_commit,
        "Versions": ", ".join(f"{name} {number}" for name, number in card.versions.items()),
    }
    lines = [f"* {key}: {_text(str(v))}" for key, v in facts.items() if v not in ("", None)]
    recipe = json.dumps(dict(card.recipe), sort_keys=True)
    return "\n".join([*lines, f"* Recipe: `{recipe}`", f"* Licence: {_text(card.licence)}"])


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_text(str(cell)) for cell in line)} |" for line in lines)


def _text(text: str) -> str:
    """Escape what Markdown would take for markup, on one line."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*[]<>|" else c for c in flat)
