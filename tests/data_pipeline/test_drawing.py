import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from data_pipeline import DataError, PrepareOptions, Store, prepare_store
from data_pipeline.drawing import draw, draw_signal, show
from data_pipeline.page import write_page
from tests.data_pipeline.files import AF, LEADS, UNSCORED, ecg_like, write_record
from tests.data_pipeline.traces import traces

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    raw = tmp_path_factory.mktemp("drawing") / "raw"
    flat = ecg_like(np.random.default_rng(0), 5000)
    flat[:, 8] = 0
    write_record(raw / "<b>", "A1", dx=f"{AF},39732003", signals=flat)
    write_record(raw / "<b>", "A2", signals=ecg_like(np.random.default_rng(1), 2500))
    write_record(raw / "<b>", "A3", dx=UNSCORED)
    return prepare_store(raw, raw.parent / "store", PrepareOptions())


def test_a_drawing_shows_every_sample_of_every_lead_to_scale(store: Store) -> None:
    tree = ElementTree.fromstring(draw(store, 0))
    lines = traces(draw(store, 0))
    assert len(lines) == 12
    for (x, y), stored in zip(lines, store.signals[0], strict=True):
        assert x[-1] - x[0] == pytest.approx(999 * 25 / 100, abs=0.05)
        height = -(np.interp(x[0] + np.arange(1000) * 25 / 100, x, y) - y[0])
        expected = (stored - stored[0].astype(float)) * store.step
        scale = (
            np.linalg.lstsq(expected[:, None], height, rcond=None)[0][0] if expected.any() else 0
        )
        nearest = min((0, 2.5, 5, 10), key=lambda s: abs(scale - s))
        assert abs(scale - nearest) < 0.02
        # A tenth of a mm in each of two points.
        assert np.abs(height - nearest * expected).max() < 0.11
    texts = [text.text for text in tree.findall(f"{SVG}text")]
    assert set(LEADS) <= set(texts)
    assert "A1 · AF, LAD" in texts
    assert sum("blank" in str(text) for text in texts) == 1
    x, _ = traces(draw(store, 1))[0]
    assert x[-1] - x[0] == pytest.approx(499 * 25 / 100, abs=0.05)


def test_lines_of_text_and_patterns_of_their_own(store: Store) -> None:
    svg = draw(store, 0, ["Network: <AF>"])
    assert "Network: &lt;AF&gt;" in svg
    identifiers = [set(re.findall(r'id="(\w+)"', draw(store, row))) for row in (0, 1)]
    assert len(identifiers[0]) == 2
    assert not identifiers[0] & identifiers[1]
    assert set(re.findall(r"url\(#(\w+)\)", svg)) == identifiers[0]


def test_a_line_at_any_rate_is_drawn_within_a_tenth_of_a_mm() -> None:
    signal = np.random.default_rng(0).normal(0, 0.3, (12, 3000))
    signal[:, 1000:2000] = 0.5
    for (x, y), lead in zip(
        traces(draw_signal(signal, 1000, title="", lines=())), signal, strict=True
    ):
        at = x[0] + np.arange(1000, 2000) * 25 / 1000
        assert np.ptp(np.interp(at[1:-1], x, y)) < 1e-9
        assert np.ptp(y) == pytest.approx(np.ptp(lead) * 10, abs=0.11)
        assert len(x) < 2100


@pytest.mark.parametrize("name", ["a.svg", "a.html"])
def test_show_writes_a_file(store: Store, tmp_path: Path, name: str) -> None:
    content = show(store, "A1", tmp_path / name).read_text()
    assert content.count('<path d="M') - content.count("<pattern") == 12
    assert "<b>" not in content


def test_show_says_what_is_wrong(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="A3 is excluded: no scored label"):
        show(store, "A3", tmp_path / "a.svg")
    with pytest.raises(DataError, match="such as A1, A2, but got 'B1'"):
        show(store, "B1", tmp_path / "a.svg")
    with pytest.raises(DataError, match=r"\.html or \.svg"):
        show(store, "A1", tmp_path / "a.gif")
    with pytest.raises(DataError, match="failed"):
        show(store, "A1", tmp_path / "none" / "a.svg")


def test_the_page_tells_what_the_store_holds(store: Store, tmp_path: Path) -> None:
    text = write_page(store, tmp_path / "page.html").read_text()
    cells = [re.sub("<.*?>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", text)]
    assert store.hash in text
    assert text.count("<svg") == 2
    assert "A3: only codes of no class: 164884008" in cells
    assert "&lt;b&gt;" in cells
    assert "<b>" not in text
    assert "synthetic:" not in text
    assert "http" not in text.replace("http://www.w3.org", "")
