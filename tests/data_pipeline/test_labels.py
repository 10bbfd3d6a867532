import csv
import hashlib
from pathlib import Path

import numpy as np
import pytest

from data_pipeline.labels import ABBREVIATIONS, CLASSES, NORMAL, WEIGHTS, encode

# Of weights.csv in the Challenge's evaluation code; all its weights are multiples of 1/80.
ROW_SUMS = [
    *(10.4625, 10.4625, 10.8375, 11.0375, 10.8375, 11.5625, 11.0375, 11.0375, 11.6125, 11.6125),
    *(11.0375, 11.3875, 11.1625, 11.6125, 9.8375, 11.4875, 11.6625, 11.3875, 11.6625, 8.0625),
    *(11.6125, 11.0375, 11.0375, 11.6625, 10.4625, 10.4625),
]
SHA256_OF_EIGHTIETHS = "600a13b2444b0c16c90375d54c40a68cf23c554168bd413f78dfd1f25e308ebd"


def test_thirty_codes_make_26_classes_with_four_merges() -> None:
    codes = [code for c in CLASSES for code in c.codes]
    assert len(CLASSES) == 26
    assert len(codes) == len(set(codes)) == 30
    merged = {c.abbreviation: set(c.codes) for c in CLASSES if len(c.codes) > 1}
    assert merged == {
        "CLBBB": {"733534002", "164909002"},
        "CRBBB": {"713427006", "59118001"},
        "PAC": {"284470004", "63593006"},
        "PVC": {"427172004", "17338001"},
    }
    assert CLASSES[NORMAL].codes == ("426783006",)


def test_encoding_is_positive_for_any_code_of_a_class() -> None:
    for i, c in enumerate(CLASSES):
        for code in c.codes:
            assert np.flatnonzero(encode([code, "999"])).tolist() == [i]
        assert np.flatnonzero(encode(c.codes)).tolist() == [i]
    assert encode([]).sum() == encode(["164884008"]).sum() == 0


def test_weights_have_the_form_that_the_paper_describes() -> None:
    assert WEIGHTS.shape == (26, 26)
    assert (WEIGHTS == WEIGHTS.T).all()
    assert (np.diag(WEIGHTS) == 1).all()
    off = WEIGHTS[~np.eye(26, dtype=bool)]
    assert (off.min(), off.max()) == (0.15, 0.5)
    index = ABBREVIATIONS.index
    for a, b, weight in (
        ("AF", "AFL", 0.5), ("TAb", "TInv", 0.5), ("AF", "NSR", 0.25), ("AF", "PAC", 0.3375),
        ("BBB", "AF", 0.475), ("Brady", "QAb", 0.2), ("CLBBB", "CRBBB", 0.425),
    ):  # fmt: skip
        assert WEIGHTS[index(a), index(b)] == weight
    np.testing.assert_allclose(WEIGHTS.sum(axis=0), ROW_SUMS, rtol=1e-12)
    eightieths = np.rint(WEIGHTS * 80).astype("<i4").tobytes()
    assert hashlib.sha256(eightieths).hexdigest() == SHA256_OF_EIGHTIETHS
    with pytest.raises(ValueError, match="read-only"):
        WEIGHTS[0, 0] = 2


def test_weights_and_order_equal_the_official_file() -> None:
    path = Path(__file__).resolve().parents[3] / "shared/reference/challenge-weights.csv"
    if not path.is_file():
        pytest.skip("the official weights are not here")
    header, *rows = csv.reader(path.open())
    assert [set(cell.split("|")) for cell in header[1:]] == [set(c.codes) for c in CLASSES]
    official = np.array([[float(value) for value in row[1:]] for row in rows])
    np.testing.assert_array_equal(WEIGHTS, official)
