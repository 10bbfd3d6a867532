"""Any header, format, rate and unit: the millivolts that wfdb reads, or an exclusion."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipeline import DataError, PrepareOptions, prepare_store
from data_pipeline.store import LEADS
from tests.data_pipeline.files import SINUS
from tests.data_pipeline.wfdb_files import RANGE, Signal, noise, write

MILLIVOLTS = {
    "mV": 1,
    "mv": 1,
    "uV": 1e-3,
    "UV": 1e-3,
    "µV": 1e-3,
    "μV": 1e-3,
    "nV": 1e-6,
    "V": 1e3,
}
NO_VOLTAGE = ("NU", "mmHg", "bpm", "%", "adu", "mA")
NAMES = {lead: (lead, lead.lower(), lead.upper(), f"-{lead}", f"ECG lead {lead}") for lead in LEADS}
FRAMES = 150


@st.composite
def records(draw: st.DrawFn) -> tuple[list[Signal], int, int, bool]:
    """Draw signals, a rate of frames, a byte offset, and whether all of it is in order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    per_frame = draw(st.sampled_from([1, 1, 1, 2, 4]))
    rate = draw(st.sampled_from([100, 250, 257, 360, 500, 999])) if per_frame == 1 else 125
    forms = draw(st.lists(st.sampled_from(sorted(RANGE)), min_size=1, max_size=2))
    known = draw(st.lists(st.sampled_from(sorted(MILLIVOLTS)), min_size=1, max_size=3))
    odd = draw(st.sampled_from([None] * 6 + list(NO_VOLTAGE)))
    # wfdb fails where two signals are skewed differently, or format 8 is skewed.
    skewed = 0 if "8" in forms else draw(st.integers(0, 3))
    signals, usable = [], odd is None
    order = draw(st.permutations(LEADS))
    for number, lead in enumerate([*order, "Resp"]):
        extra = lead == "Resp"
        form = forms[number * len(forms) // 13]
        unit = odd if odd and number == 3 else draw(st.sampled_from(known))
        gain = 500 * MILLIVOLTS.get(str(unit), 1)
        baseline = draw(st.integers(-40, 40))
        frequency = 1 if extra else per_frame
        signals.append(
            Signal(
                noise(rng, FRAMES * frequency, form),
                lead if extra else draw(st.sampled_from(NAMES[lead])),
                gain=f"{gain:.9g}({baseline})/{unit}",
                format=form,
                per_frame=frequency,
                # wfdb marks the wrong end of skewed signals with several samples per frame.
                skew=draw(st.sampled_from([0, skewed])) if per_frame == 1 else 0,
                file=f"part{number * len(forms) // 13}.dat",
            )
        )
    broken = draw(st.sampled_from([None] * 5 + ["checksum", "lead", "rate", "twice"]))
    if broken == "checksum":
        signals[5] = replace(signals[5], checksum=12345)
    elif broken == "lead":
        signals[5] = replace(signals[5], name="MLII")
    elif broken == "twice":
        signals[5] = replace(signals[5], name=signals[6].name)
    elif broken == "rate" and per_frame > 1:
        values = signals[5].values[::per_frame]
        signals[5] = replace(signals[5], values=values, per_frame=1)
    else:
        broken = None
    offset = draw(st.sampled_from([0, 0, 24, 7]))
    return signals, rate, offset, usable and broken is None


def by_wfdb(path: Path, signals: list[Signal]) -> np.ndarray:
    """Return millivolts (12, samples) in the order of LEADS, with names and units of our own."""
    record = wfdb.rdrecord(str(path.with_suffix("")), smooth_frames=False)
    leads = {}
    for signal, values in zip(signals, record.e_p_signal, strict=True):
        # wfdb drops what is not ASCII, which makes volts of µV.
        unit = signal.gain.rpartition("/")[2]
        name = signal.name.split()[-1]
        sign = -1 if name.startswith("-") else 1
        standard = next((n for n in LEADS if n.upper() == name.strip("-").upper()), None)
        if standard:
            leads[standard] = sign * values * MILLIVOLTS.get(unit, np.nan)
    return np.stack([leads[lead] for lead in LEADS])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(records())
def test_millivolts_equal_wfdb_or_the_record_is_excluded(
    drawn: tuple[list[Signal], int, int, bool],
) -> None:
    signals, rate, offset, usable = drawn
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        path = write(raw, "A0001", signals, rate=rate, offset=offset)
        write(
            raw / "other", "B0001", [Signal(noise(np.random.default_rng(0), 500), n) for n in LEADS]
        )
        full_rate = rate * signals[0].per_frame
        samples = FRAMES * signals[0].per_frame
        options = PrepareOptions(
            sample_rate_hz=full_rate, seconds=samples / full_rate, band_hz=None,
            standardise="none", minimum_seconds=0,
        )  # fmt: skip
        store = prepare_store(raw, Path(folder) / "store", options)
        excluded = store.excluded.set_index("record")
        if "A0001" in excluded.index:
            assert not usable, excluded.loc["A0001", "detail"]
            assert excluded.loc["A0001", "reason"]
            assert "A0001" not in set(store.records["record"])
            return
        assert usable
        expected = np.nan_to_num(by_wfdb(path, signals))
        row = int(np.flatnonzero(store.records["record"] == "A0001")[0])
        valid = int(store.records["valid_samples"][row])
        assert valid == samples - max(signal.skew for signal in signals[:12])
        stored = store.signals[row] * store.step
        np.testing.assert_allclose(stored[:, :valid], expected[:, :valid], atol=store.step * 0.501)
        assert not store.signals[row, :, valid:].any()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["~", "part", "short"]), min_size=1, max_size=4), st.booleans())
def test_segments_equal_wfdb_or_the_record_is_excluded(kinds: list[str], variable: bool) -> None:
    rng = np.random.default_rng(len(kinds))
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        lines = []
        if variable:
            lines.append("R_layout 0")
            rows = [f"~ 0 1000(0)/mV 16 0 0 0 0 {lead}" for lead in LEADS]
            raw.mkdir()
            (raw / "R_layout.hea").write_text("\n".join(["R_layout 12 250 0", *rows]) + "\n")
        for number, kind in enumerate(kinds):
            length = 300 if kind == "part" else 40
            if kind != "~":
                signals = [
                    Signal(noise(rng, length), lead, f"{800 + number}(3)/mV") for lead in LEADS
                ]
                write(raw, f"R_{number}", signals, rate=250, comments="")
            lines.append(f"{kind if kind == '~' else f'R_{number}'} {length}")
        total = sum(int(line.split()[1]) for line in lines)
        first = f"R/{len(lines)} 12 250 {total}"
        (raw / "R.hea").parent.mkdir(exist_ok=True)
        (raw / "R.hea").write_text("\n".join([first, *lines, f"#Dx: {SINUS}"]) + "\n")
        options = PrepareOptions(
            sample_rate_hz=250, seconds=total / 250, band_hz=None, standardise="none",
            minimum_seconds=0.1, keep_unlabelled=True,
        )  # fmt: skip
        if "~" in kinds:  # missing samples, or nothing but them
            with pytest.raises(DataError, match="all 1 are excluded"):
                prepare_store(raw, Path(folder) / "store", options)
            return
        store = prepare_store(raw, Path(folder) / "store", options)
        assert store.records["record"].tolist() == ["R"]
        expected = wfdb.rdrecord(str(raw / "R")).p_signal.T
        np.testing.assert_allclose(store.signals[0] * store.step, expected, atol=store.step * 0.501)
