import xml.etree.ElementTree as ET

import pytest

from models import reference
from models.diagram import architecture_svg

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "mobilenetv2@0.25"])
def test_the_picture_shows_every_stage_to_scale(name):
    architecture = reference(name)
    rows = architecture.describe()
    root = ET.fromstring(architecture_svg(architecture))
    groups = root.findall(f"{SVG}g")
    assert len(groups) == len(rows) + 1  # the record first
    boxes = [group.find(f"{SVG}rect").attrib for group in groups[1:]]
    for row, box, group in zip(rows, boxes, groups[1:], strict=True):
        assert len(group.findall(f"{SVG}line")) == row.blocks
        labels = [text.text for text in group.findall(f"{SVG}text")]
        assert labels[:2] == [row.stage, f"{row.width} × {row.length}"]
        assert float(box["x"]) + float(box["width"]) < float(root.attrib["width"])
    by_width = sorted(zip(rows, boxes, strict=True), key=lambda pair: pair[0].width)
    heights = [float(box["height"]) for _, box in by_width]
    assert heights == sorted(heights)
    by_flops = sorted(zip(rows, boxes, strict=True), key=lambda pair: pair[0].flops)
    shades = [float(box["fill-opacity"]) for _, box in by_flops]
    assert shades == sorted(shades)


def test_titles_are_escaped():
    ET.fromstring(architecture_svg(reference("fcn-wang"), title="<a & b>"))
