"""What a page holds compressed is what was drawn, as fine as a screen shows, and said once."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from analysis.page.blocks import Details, FigureBlock, Header, Section
from analysis.page.pack import MARK, packed_figures, packed_plotly, unpacked
from analysis.page.render import render
from analysis.page.style import Drawn, Sketch

LONG_TEXT = "a network with ten factors and four costs <b>&</b>"


def sketched(x: object, text: list[str] | None = None) -> Drawn:
    figure = Sketch()
    figure.points(x, x, "points", "#000000", text=text, hover="%{text}")  # type: ignore[arg-type]
    figure.axes({}, {})
    return figure.drawn(pd.DataFrame({"x": [1.0]}))


def test_numbers_keep_five_digits_and_gaps_stay_gaps() -> None:
    values = np.array([1.23456789e8, -9.87654321e-7, np.nan, 3.0])
    packed = packed_figures([sketched(values), sketched([*values[:2].tolist(), None, 3])])
    for one in json.loads(unpacked(packed))["figures"]:
        first, second, gap, whole = one["data"][0]["x"]
        assert first == pytest.approx(values[0], rel=5e-5)
        assert second == pytest.approx(values[1], rel=5e-5)
        assert (gap, whole) == (None, 3)


def test_a_text_of_many_points_is_kept_once() -> None:
    texts = [f"{LONG_TEXT} {i}" for i in range(50)]
    x = np.arange(50.0)
    read = json.loads(unpacked(packed_figures([sketched(x, texts), sketched(x, texts[10:20])])))
    assert [one for one in read["texts"] if one.startswith(LONG_TEXT)] == texts
    again = [
        read["texts"][int(t.removeprefix(MARK))] for t in read["figures"][1]["data"][0]["text"]
    ]
    assert again == texts[10:20]


def test_the_page_holds_the_library_once_and_its_figures_in_order() -> None:
    blocks = tuple(
        FigureBlock(f"f{i}", f"Figure {i}", "", sketched(np.array([float(i)]))) for i in range(3)
    )
    section = Section("a", "A", (blocks[0], Details("more", blocks[1:])))
    html = render(Header("s", "", (), ()), [section]).html
    stored = dict(re.findall(r'<script type="text/plain" id="(\w+)">(.*?)</script>', html))
    assert unpacked(stored["plotly"]) == get_plotlyjs()
    assert html.count(packed_plotly()) == 1
    drawn = json.loads(unpacked(stored["figures"]))["figures"]
    order = [int(n) for n in re.findall(r'data-figure="(\d+)"', html)]
    assert [drawn[n]["data"][0]["x"] for n in order] == [[0], [1], [2]]
    assert len(html) < 2_200_000


def test_a_page_without_figures_holds_no_library() -> None:
    html = render(Header("s", "", (), ()), [Section("a", "A", ())]).html
    assert 'id="plotly"' not in html
    assert len(html) < 20_000
