"""Twelve-lead ECGs computed from diagnoses.

The heart is one electric dipole that turns and grows along a sum of Gaussian waves at every beat:
the vector form (Sameni et al. 2007, doi:10.1155/2007/43407) of the dynamical model of McSharry
et al. 2003 (doi:10.1109/TBME.2003.808805). Dower's matrix (Dower et al. 1980,
doi:10.1016/S0022-0736(80)80067-9) projects it onto the leads. Diagnoses change the rhythm, the
waves or the axis as textbooks say; sizes are of our own choosing and prove nothing medical.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_DOWER = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],  # V6
    ]
)
"""Leads I, II and V1-V6 of a dipole (left, down, back)."""
_LIMBS = np.array([[1, 0], [0, 1], [-1, 1], [-0.5, -0.5], [1, -0.5], [-0.5, 1]])
"""I, II, III, aVR, aVL and aVF from I and II (Einthoven, Goldberger)."""
LEAD_MATRIX: Array = np.vstack([_LIMBS @ _DOWER[:2], _DOWER[2:]])


@dataclass(frozen=True, slots=True)
class Wave:
    """One Gaussian of the dipole: when (s from the R peak), how wide (sd, s), which way (mV)."""

    at_s: float
    width_s: float
    vector: tuple[float, float, float]

    def scaled(self, factor: float) -> Wave:
        """Return the wave with its dipole multiplied."""
        x, y, z = self.vector
        return replace(self, vector=(x * factor, y * factor, z * factor))

    def turned(self, degrees: float) -> Wave:
        """Return the wave turned in the frontal plane; negative is leftwards and up."""
        x, y, z = self.vector
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        return replace(self, vector=(c * x - s * y, s * x + c * y, z))


Beat = dict[str, Wave]
NORMAL_BEAT: Beat = {
    "P": Wave(-0.16, 0.022, (0.09, 0.12, -0.02)),
    "Q": Wave(-0.028, 0.009, (-0.10, 0.0, -0.22)),
    "R": Wave(0.0, 0.012, (1.0, 0.8, 0.25)),
    "S": Wave(0.03, 0.012, (0.0, -0.1, 0.55)),
    "T1": Wave(0.24, 0.05, (0.17, 0.12, -0.08)),
    "T2": Wave(0.29, 0.03, (0.15, 0.10, -0.06)),
}
_QRS = ("Q", "R", "S", "R'")
_T = ("T1", "T2")


def shape_beat(labels: Collection[str], rng: np.random.Generator) -> Beat:
    """Return the beat of a person with these diagnoses."""
    beat = {
        name: replace(
            wave.scaled(math.exp(rng.normal(0, 0.12))),
            width_s=wave.width_s * math.exp(rng.normal(0, 0.08)),
        )
        for name, wave in NORMAL_BEAT.items()
    }
    turn = rng.normal(5, 10)
    if "BBB" in labels:
        labels = {*labels, "CLBBB" if rng.random() < 0.5 else "CRBBB"}
    if "CLBBB" in labels or "PR" in labels:
        del beat["Q"], beat["S"]
        beat["R"] = Wave(0.0, 0.022, (0.6, 0.5, 0.45))
        beat["R'"] = Wave(0.058, 0.026, (0.9, 0.25, 0.75))
        beat["T1"] = Wave(0.28, 0.055, (-0.3, -0.12, -0.3))
        beat["T2"] = Wave(0.33, 0.035, (-0.2, -0.08, -0.2))
    elif "CRBBB" in labels:
        beat["R'"] = Wave(0.075, 0.022, (-0.6, -0.1, -0.75))
        beat["T1"] = beat["T1"].scaled(0.8)
    elif "IRBBB" in labels:
        beat["R'"] = Wave(0.05, 0.012, (-0.3, -0.05, -0.4))
    if "NSIVCB" in labels:
        for name in ("Q", "R", "S"):
            if name in beat:
                beat[name] = replace(
                    beat[name], at_s=beat[name].at_s * 1.7, width_s=beat[name].width_s * 1.8
                )
        beat["R'"] = Wave(0.03, 0.012, (0.5, 0.3, 0.0))
    if "LAnFB" in labels:
        turn = rng.normal(-95, 6)
        beat["R"] = replace(beat["R"], width_s=beat["R"].width_s * 1.25)
    elif "LAD" in labels:
        turn = rng.normal(-82, 8)
    elif "RAD" in labels:
        turn = rng.normal(82, 8)
    if "QAb" in labels:
        beat["Q"] = Wave(-0.034, 0.016, (-0.35, -0.55, 0.2))
    if "PRWP" in labels:
        x, y, z = beat["R"].vector
        beat["R"] = replace(beat["R"], vector=(0.6 * x, y, z + 0.5))
    for name in _QRS:
        if name in beat:
            beat[name] = beat[name].turned(turn).scaled(0.33 if "LQRSV" in labels else 1.0)
    for name in _T:
        factor = 0.15 if "TAb" in labels else 1.0
        beat[name] = beat[name].turned(0.3 * turn).scaled(-0.9 if "TInv" in labels else factor)
        if "LQT" in labels:
            beat[name] = replace(beat[name], at_s=beat[name].at_s * rng.uniform(1.35, 1.5))
    if "IAVB" in labels:
        beat["P"] = replace(beat["P"], at_s=-rng.uniform(0.25, 0.32))
    elif "LPR" in labels:
        beat["P"] = replace(beat["P"], at_s=-rng.uniform(0.22, 0.27))
    if not labels_with_p(labels):
        del beat["P"]
    if "PR" in labels:
        beat["spike"] = Wave(-0.06, 0.0015, (0.8, 1.6, 0.4))
    return beat


def labels_with_p(labels: Collection[str]) -> bool:
    """Whether the atria contract in an orderly way before each beat."""
    return not {"AF", "AFL", "PR"} & set(labels)


def beat_times(
    labels: Collection[str], seconds: float, rng: np.random.Generator
) -> tuple[Array, list[str]]:
    """Return when beats come (s) and of which kind: "normal", "PAC" or "PVC"."""
    rate = _heart_rate(labels, rng)
    mean = 60 / rate
    flutter_s = 1 / rng.uniform(4.4, 5.4)
    breath_hz, breath_phase = rng.uniform(0.15, 0.3), rng.uniform(0, 2 * math.pi)
    swing = rng.uniform(0.14, 0.24) if "SA" in labels else 0.02
    ectopic = [kind for kind in ("PAC", "PVC") if kind in labels]
    until_ectopic = int(rng.integers(1, 4))
    times, kinds = [], []
    now, pause = -1.5 + mean * rng.random(), 1.0
    while now < seconds + 1:
        times.append(now)
        kind = "normal"
        if ectopic and until_ectopic == 0:
            kind = ectopic[int(rng.integers(len(ectopic)))]
            until_ectopic = int(rng.integers(2, 6))
        until_ectopic -= 1
        kinds.append(kind)
        if "AF" in labels:
            interval = mean * max(0.45, rng.lognormal(0, 0.24))
        elif "AFL" in labels:
            interval = flutter_s * max(2, round(mean / flutter_s))
        else:
            swinging = math.sin(2 * math.pi * breath_hz * now + breath_phase)
            interval = mean * (1 + swing * swinging + rng.normal(0, 0.01))
        # The next beat is early if it is ectopic, and late after one from the ventricle.
        early = rng.uniform(0.55, 0.68) if ectopic and until_ectopic == 0 else 1.0
        pause = 1.35 if kind == "PVC" else 1.1 if kind == "PAC" else 1.0
        now += interval * early * pause
    return np.array(times), kinds


def _heart_rate(labels: Collection[str], rng: np.random.Generator) -> float:
    if "SB" in labels or "Brady" in labels:
        return float(rng.uniform(38, 57))
    if "STach" in labels:
        return float(rng.uniform(104, 150))
    if "AF" in labels or "AFL" in labels:
        return float(rng.uniform(65, 125))
    return float(rng.uniform(62, 96))


def draw_ecg(
    labels: Collection[str], rate_hz: int, seconds: float, rng: np.random.Generator
) -> Array:
    """Return twelve leads in mV, float64 (12, samples), of a person with these diagnoses."""
    samples = round(rate_hz * seconds)
    dipole = np.zeros((3, samples))
    beat = shape_beat(labels, rng)
    times, kinds = beat_times(labels, seconds, rng)
    wide = _ventricular_beat(rng)
    intervals = np.diff(times, append=times[-1] + 1)
    for at, kind, interval in zip(times, kinds, intervals, strict=True):
        waves = wide if kind == "PVC" else beat
        for name, wave in waves.items():
            # Repolarisation shortens with the square root of the interval (Bazett 1920).
            late = math.sqrt(min(interval, 1.2)) if name in _T else 1.0
            if name == "P" and kind == "PAC":
                x, y, z = wave.vector
                wave = replace(wave, vector=(x, -0.7 * y, z))
            _add(dipole, at + wave.at_s * late, wave, rate_hz)
    time_s = np.arange(samples) / rate_hz
    if "AF" in labels:
        dipole += _fibrillation(time_s, rng)
    if "AFL" in labels:
        dipole += _flutter(time_s, times[0], rng)
    leads = LEAD_MATRIX @ dipole
    return leads + _disturbances(time_s, rng)


def _add(dipole: Array, at_s: float, wave: Wave, rate_hz: int) -> None:
    first = max(math.floor((at_s - 4 * wave.width_s) * rate_hz), 0)
    last = min(math.ceil((at_s + 4 * wave.width_s) * rate_hz) + 1, dipole.shape[1])
    if first < last:
        distance = (np.arange(first, last) / rate_hz - at_s) / wave.width_s
        dipole[:, first:last] += np.outer(wave.vector, np.exp(-0.5 * distance**2))


def _ventricular_beat(rng: np.random.Generator) -> Beat:
    way = rng.normal(size=3)
    way *= 1.7 / np.linalg.norm(way)
    x, y, z = way.tolist()
    return {
        "R": Wave(0.0, 0.035, (x, y, z)),
        "R'": Wave(0.06, 0.03, (0.4 * x, 0.5 * y, 0.3 * z)),
        "T1": Wave(0.32, 0.06, (-0.35 * x, -0.35 * y, -0.35 * z)),
    }


def _fibrillation(time_s: Array, rng: np.random.Generator) -> Array:
    total = np.zeros((3, len(time_s)))
    for hz in rng.uniform(4.5, 8.5, size=3):
        way = rng.normal(0, 0.035, size=(3, 1))
        drift = 0.6 * np.sin(2 * math.pi * 0.3 * time_s + rng.uniform(0, 6))
        total += way * np.sin(2 * math.pi * hz * time_s + drift)
    return total


def _flutter(time_s: Array, start_s: float, rng: np.random.Generator) -> Array:
    hz = rng.uniform(4.4, 5.4)
    phase = ((time_s - start_s) * hz) % 1
    saw = np.where(phase < 0.7, phase / 0.7, (1 - phase) / 0.3) - 0.5
    return np.outer((0.03, -0.22, -0.08), saw)


def _disturbances(time_s: Array, rng: np.random.Generator) -> Array:
    """Return breathing, muscle and mains in mV (12, samples)."""
    hz = rng.uniform(0.1, 0.4)
    wander = np.sin(2 * math.pi * hz * time_s + rng.uniform(0, 6))
    mains = np.sin(2 * math.pi * 50 * time_s)
    muscle = rng.standard_normal((12, len(time_s)), dtype=np.float32) * rng.uniform(0.004, 0.02)
    heights = rng.normal(0, 0.08, size=(12, 1)), rng.normal(0, 0.006, size=(12, 1))
    return np.asarray(muscle + heights[0] * wander + heights[1] * mains, dtype=np.float64)
