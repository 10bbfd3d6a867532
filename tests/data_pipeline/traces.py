"""Read the leads back from a drawn ECG."""

import re
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

PATH = "{http://www.w3.org/2000/svg}path"


def traces(svg: str) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return x and y in mm of the corners of every lead."""
    found = []
    for line in ElementTree.fromstring(svg).findall(PATH):
        unit = float(line.attrib["transform"].removeprefix("scale(").rstrip(")"))
        start, steps = line.attrib["d"].removeprefix("M").split("l")
        numbers = [int(n) for part in (start, steps) for n in re.findall(r"-?\d+", part)]
        corners = np.cumsum(np.array(numbers).reshape(-1, 2), axis=0) * unit
        found.append((corners[:, 0], corners[:, 1]))
    return found
