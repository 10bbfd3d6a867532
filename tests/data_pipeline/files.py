"""Records written by the rules of the Challenge, but not by our code."""

from pathlib import Path

import numpy as np

LEADS = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
AF, SINUS, UNSCORED = "164889003", "426783006", "164884008"


def ecg_like(rng: np.random.Generator, samples: int, leads: int = 12) -> np.ndarray:
    """Correlated noise of the size of an ECG, int16 (samples, leads) in microvolts."""
    walk = np.cumsum(rng.normal(0, 20, (samples, leads)), axis=0)
    return np.clip(walk - walk.mean(axis=0) + rng.normal(0, 80, walk.shape), -9000, 9000).astype(
        np.int16
    )


def write_record(
    folder: Path,
    name: str,
    *,
    dx: str = SINUS,
    signals: np.ndarray | None = None,
    rate: int = 500,
    seed: int = 0,
    gain: str = "1000/mV",
    leads: list[str] | None = None,
    comments: str | None = None,
    first: str | None = None,
    sums: bool = True,
) -> Path:
    """Write a record as the Challenge does: a MATLAB v4 file of int16 and its header."""
    folder.mkdir(parents=True, exist_ok=True)
    if signals is None:
        signals = ecg_like(np.random.default_rng([seed, *name.encode()]), 10 * rate)
    samples, count = signals.shape
    # MATLAB v4: type 30 (int16), rows, columns, real, length of the name with its zero.
    start = np.array([30, count, samples, 0, 4], dtype="<i4").tobytes() + b"val\0"
    (folder / f"{name}.mat").write_bytes(start + signals.astype("<i2").tobytes())
    lines = [first or f"{name} {count} {rate} {samples}"]
    for column, lead in enumerate(leads or LEADS):
        total = int(signals[:, column].astype(np.int64).sum()) % 65536
        total = total - 65536 if total > 32767 else total
        lines.append(
            f"{name}.mat 16+24 {gain} 16 0 {signals[0, column]} {total if sums else 0} 0 {lead}"
        )
    lines.append(comments if comments is not None else f"#Age: 50\n#Sex: Male\n#Dx: {dx}")
    path = folder / f"{name}.hea"
    path.write_text("\n".join(lines) + "\n")
    return path
