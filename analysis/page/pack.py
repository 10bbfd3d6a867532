"""What a page holds compressed: the library that draws, and all that it draws."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from plotly.offline import get_plotlyjs

from analysis.page.style import Drawn

DIGITS = 5  # below a pixel, and more than is said of any point
LONG, MARK = 24, "\x01"


def packed(text: str) -> str:
    """Deflate a text and write it in base64, for the page's `DecompressionStream`."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(text: str) -> str:
    """Read what `packed` wrote."""
    return zlib.decompress(base64.b64decode(text)).decode()


@cache
def packed_plotly() -> str:
    """Return plotly.js, 4.8 MB of it, in 2."""
    return packed(get_plotlyjs())


def packed_figures(figures: Sequence[Drawn]) -> str:
    """Pack the traces and layouts of figures, in order, with numbers as fine as a screen shows.

    A long text, such as what is said of a network when it is pointed at, is kept once in `texts`;
    the figures have MARK and its number.
    """
    texts: dict[str, int] = {}
    drawings = []
    for drawn in figures:
        read = json.loads(drawn.figure.to_json())
        drawings.append({"data": _thin(read["data"], texts), "layout": read["layout"]})
    return packed(json.dumps({"texts": list(texts), "figures": drawings}, separators=(",", ":")))


def _thin(value: Any, texts: dict[str, int]) -> Any:
    """Round floats to DIGITS, also in plotly's encoded arrays; number long texts."""
    match value:
        case float():
            return float(f"{value:.{DIGITS}g}")
        case str() if len(value) > LONG:
            return f"{MARK}{texts.setdefault(value, len(texts))}"
        case list():
            return [_thin(one, texts) for one in value]
        case {"dtype": "f8", "bdata": str(data)}:
            numbers = np.frombuffer(base64.b64decode(data), "<f8").tolist()
            return [_thin(one, texts) if math.isfinite(one) else None for one in numbers]
        case {"bdata": _}:
            return value
        case dict():
            return {key: _thin(one, texts) for key, one in value.items()}
    return value
