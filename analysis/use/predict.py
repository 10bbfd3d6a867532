"""What a network says of ECG files: probabilities, decisions, drawings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_pipeline.drawing import draw_signal
from data_pipeline.ecg_files import Ecg, read_ecg
from data_pipeline.errors import DataError
from data_pipeline.store import LEADS
from data_pipeline.windows import flat_leads, window_starts
from models.errors import ModelError
from models.prediction import BATCH_SIZE, Prediction, Predictor

FINDINGS_PER_LINE = 3


@dataclass(frozen=True, slots=True, eq=False)
class FilePrediction:
    """What a network says of one file; `problem` says why it says nothing."""

    path: Path
    prediction: Prediction | None
    problem: str = ""

    @property
    def record(self) -> str:
        """Name of the file without its ending."""
        return self.path.stem


def predict_files(
    predictor: Predictor,
    paths: Sequence[Path],
    *,
    csv_rate_hz: float | None = None,
    windows: int = 0,
    aggregate: str = "mean",
    seen: Callable[[Path, Ecg, Prediction], None] | None = None,
) -> Iterator[FilePrediction]:
    """Yield the prediction of every file, in order; files are read into full batches.

    See `Predictor.predict` for windows and aggregate; `seen` is given every ECG and its prediction.
    """
    how = predictor.required_preprocessing()
    waiting: list[tuple[Path, Ecg | None, NDArray[np.int16] | None, str]] = []
    held = 0
    for path in paths:
        try:
            ecg = read_ecg(path, csv_rate_hz=csv_rate_hz, fix_gains=how.layout == "challenge")
            cut = how.windows_of(ecg.signal_mv, ecg.rate_hz, ecg.leads, windows=windows)
        except (DataError, ModelError, OSError) as error:
            waiting.append((path, None, None, str(error)))
            continue
        waiting.append((path, ecg if seen else None, cut, ""))
        held += len(cut)
        if held >= BATCH_SIZE:
            yield from _said(predictor, waiting, aggregate, seen)
            waiting, held = [], 0
    yield from _said(predictor, waiting, aggregate, seen)


def prediction_table(predictions: Iterable[FilePrediction]) -> pd.DataFrame:
    """Return one row per file and class, and one with the problem of each unreadable file."""
    rows: list[dict[str, object]] = []
    for one in predictions:
        about: dict[str, object] = {"record": one.record, "path": str(one.path)}
        said = one.prediction
        if said is None:
            rows.append(about | {"problem": one.problem})
            continue
        for k, name in enumerate(said.classes):
            rows.append(
                about
                | {
                    "class": name,
                    "diagnosis": said.names[k],
                    "probability": float(said.probabilities[k]),
                    "threshold": said.thresholds[k],
                    "decision": bool(said.decisions[k]),
                    "windows": int(said.windows),
                    "problem": "",
                }
            )
    columns = ["record", "path", "class", "diagnosis", "probability", "threshold"]
    table = pd.DataFrame(rows, columns=[*columns, "decision", "windows", "problem"])
    return table.astype({"decision": "boolean", "windows": "Int64"})


def findings_table(predictions: Iterable[FilePrediction]) -> pd.DataFrame:
    """Return one row per file for people: what was found, with probabilities."""
    rows = []
    for one in predictions:
        said = one.prediction
        if said is None:
            rows.append(
                {"record": one.record, "windows": "", "findings": f"not read: {one.problem}"}
            )
            continue
        found = ", ".join(f"{name} {p:.2f}" for name, p in said.findings().items())
        rows.append(
            {"record": one.record, "windows": str(said.windows), "findings": found or "none"}
        )
    return pd.DataFrame(rows, columns=["record", "windows", "findings"])


class Drawings:
    """Draw each ECG with its findings into a folder, as it is predicted; names stay apart."""

    def __init__(self, folder: Path, predictor: Predictor, note: str) -> None:
        self.folder, self.predictor, self.note = folder, predictor, note
        self.names: dict[str, int] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, path: Path, ecg: Ecg, said: Prediction) -> None:
        """Write one drawing."""
        again = self.names[path.stem] = self.names.get(path.stem, 0) + 1
        name = path.stem if again == 1 else f"{path.stem}-{again}"
        picture = draw_prediction(self.predictor, path, ecg, said, self.note)
        (self.folder / f"{name}.svg").write_text(picture, encoding="utf-8")


def draw_prediction(
    predictor: Predictor, path: Path, ecg: Ecg, said: Prediction, note: str = ""
) -> str:
    """Return the ECG as SVG, within the network's band, with the findings above it.

    Of a longer ECG the middle window is drawn; the findings are those of all.
    """
    how = predictor.required_preprocessing()
    raw = np.nan_to_num(how.ordered(ecg.signal_mv, ecg.leads))
    values = how.filtered(raw, ecg.rate_hz)
    (start,) = window_starts(values.shape[1], how.samples, 1)
    found = [f"{name} {p:.2f}" for name, p in said.findings().items()] or ["no finding"]
    lines = [
        " · ".join(found[i : i + FINDINGS_PER_LINE])
        for i in range(0, len(found), FINDINGS_PER_LINE)
    ]
    windows = int(said.windows)
    of = f"the middle of {windows} windows that were read" if windows > 1 else ""
    below = " · ".join(part for part in (note, of) if part)
    shown = values[:, start : start + how.samples]
    blank = np.array(how.leads)[flat_leads(raw, shown.std(axis=1))].tolist()
    order = [how.leads.index(lead) for lead in LEADS]
    return draw_signal(
        shown[order],
        how.sample_rate_hz,
        title=path.stem,
        lines=(*lines, below) if below else tuple(lines),
        blank=blank,
    )


def _said(
    predictor: Predictor,
    waiting: Sequence[tuple[Path, Ecg | None, NDArray[np.int16] | None, str]],
    aggregate: str,
    seen: Callable[[Path, Ecg, Prediction], None] | None,
) -> Iterator[FilePrediction]:
    """Predict what is waiting, in one go."""
    cut = [windows for _, _, windows, _ in waiting if windows is not None]
    said = iter(predictor.aggregated(cut, aggregate=aggregate)) if cut else iter(())
    for path, ecg, windows, problem in waiting:
        if windows is None:
            yield FilePrediction(path, None, problem)
            continue
        own = next(said)
        if seen is not None and ecg is not None:
            seen(path, ecg, own)
        yield FilePrediction(path, own)
