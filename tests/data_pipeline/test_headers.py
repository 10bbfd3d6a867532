import math
from pathlib import Path

import pytest

from data_pipeline import DataError
from data_pipeline.headers import parse_age, parse_codes, parse_sex, read_header
from tests.data_pipeline.files import LEADS, write_record


def rewritten(folder: Path, old: str, new: str) -> Path:
    path = write_record(folder, "A0001")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize(
    "first",
    [
        "A0001 12 500 5000",
        "A0001.mat 12 500 5000 05-May-2020 14:50:55",
        "A0001 12 500 5000 12:33:59 04/05/2020",
        "A0001 12 500/1000(0) 5000",
        "  A0001   12  500.0  5000  nonsense",
    ],
)
def test_dates_and_spellings_of_the_first_line_do_not_matter(tmp_path: Path, first: str) -> None:
    header = read_header(write_record(tmp_path, "A0001", first=first))
    assert (header.record, header.sample_rate_hz, header.samples) == ("A0001", 500.0, 5000)
    assert len(header.signals) == 12


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        ("1000/mV", (1000, 0, "mV")),
        ("1000.0(0)/mv", (1000, 0, "mv")),
        ("1000.0(-12)/NU", (1000, -12, "NU")),
        ("2000000/mV", (2e6, 0, "mV")),
        ("4.88", (4.88, 0, "mV")),
        ("1e3/uV", (1000, 0, "uV")),
        ("0/mV", (200, 0, "mV")),
    ],
)
def test_gains(tmp_path: Path, gain: str, expected: tuple[float, int, str]) -> None:
    signal = read_header(write_record(tmp_path, "A0001", gain=gain)).signals[3]
    assert (signal.gain, signal.baseline, signal.units) == expected


def test_a_missing_baseline_is_the_zero_of_the_converter(tmp_path: Path) -> None:
    path = rewritten(tmp_path, "1000/mV 16 0", "1000/mV 16 1024")
    assert {signal.baseline for signal in read_header(path).signals} == {1024}


def test_formats(tmp_path: Path) -> None:
    path = rewritten(tmp_path, "16+24", "16x2:3+24")
    signal = read_header(path).signals[0]
    assert (signal.format, signal.samples_per_frame, signal.skew, signal.byte_offset) == (
        *("16", 2, 3, 24),
    )


@pytest.mark.parametrize(
    "comments",
    [
        "#Age: 63\n#Sex: Female\n#Dx: 426783006,164889003",
        "# Age: 63\n# Sex: F\n# Dx: 426783006,,164889003,",
        "#Dx: 426783006, 164889003, 426783006\n#Rx: Unknown\n#sex:female\n#AGE:63",
        "#Dx:426783006,164889003\r\n#Age:63\r\n#Sex:female\r",
    ],
)
def test_comments_are_read_by_key(tmp_path: Path, comments: str) -> None:
    header = read_header(write_record(tmp_path, "A0001", comments=comments))
    assert (header.age, header.sex) == (63, "female")
    assert header.dx == ("426783006", "164889003")
    assert not header.synthetic


def test_what_is_not_known_stays_unknown(tmp_path: Path) -> None:
    header = read_header(write_record(tmp_path, "A0001", comments="#Age: NaN\n#Sex: Unknown\n#Dx:"))
    assert math.isnan(header.age)
    assert (header.sex, header.dx) == ("", ())
    assert [parse_sex(text) for text in ("male", "M", "0", "")] == ["male", "male", "", ""]
    assert math.isnan(parse_age("300"))
    assert parse_age("92") == 92
    assert parse_codes("Unknown") == ()


def test_leads_are_found_in_any_case_and_order(tmp_path: Path) -> None:
    names = [f"lead {lead.lower()}" if i % 2 else lead.upper() for i, lead in enumerate(LEADS)]
    header = read_header(write_record(tmp_path, "A0001", leads=names[::-1]))
    assert header.lead_rows() == tuple((row, 1) for row in range(11, -1, -1))


def test_missing_leads_are_named(tmp_path: Path) -> None:
    header = read_header(write_record(tmp_path, "A0001", leads=[*LEADS[:10], "X", "Y"]))
    with pytest.raises(DataError, match=r"lacks V5, V6 \(has also 'X', 'Y'\)"):
        header.lead_rows()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\x00\xff\x13garbage", "begins with"),
        (b"A0001 12 500 5000\nA0001.mat 16+24 1000/mV\n", "declares 12 signals but describes 1"),
        (b"A0001 1 zero 5000\nA0001.mat 16 1000/mV 16 0 0 0 0 I\n", "not a WFDB header"),
        (b"A0001 1 nan 5000\nA0001.mat 16 1000/mV 16 0 0 0 0 I\n", "sampling rate"),
        (b"A0001 1 500 5000\nA0001.mat sixteen 1000/mV 16 0 0 0 0 I\n", "signal line"),
    ],
)
def test_what_is_no_header_is_refused_with_its_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "A0001.hea"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_header(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_header(tmp_path / "nothing.hea")
