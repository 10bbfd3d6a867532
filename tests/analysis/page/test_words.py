"""Templates: every code that the analysis uses has one, and they are filled with its values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import analysis
from analysis.page.words import Text, gate_words, gates_frame, say
from analysis.stats.interval import PERCENT, Interval
from analysis.stats.refusal import Gate, Refusal

HERE = Path(analysis.__file__).parent
CODE = re.compile(r'(Refusal|Gate)\(\s*"([a-z_]+)\.([a-z_]+)"')
USED = sorted({m.groups() for path in HERE.rglob("*.py") for m in CODE.finditer(path.read_text())})


def has(folder: str, *keys: str) -> bool:
    from analysis.page.words import _texts

    found = _texts(folder)
    for key in keys:
        if key not in found:
            return False
        found = found[key]
    return bool(found)


@pytest.mark.parametrize(("kind", "folder", "code"), USED)
def test_every_code_has_its_template(kind: str, folder: str, code: str) -> None:
    if kind == "Refusal":
        assert has(folder, "refusal", code)
    elif folder == "surrogates":
        assert has(folder, "refusal", f"{code}_not")
    else:
        assert all(has(folder, "gate", code, part) for part in ("asks", "found", "means"))


def test_templates_that_nothing_uses_are_gone() -> None:
    used = {(folder, code) for kind, folder, code in USED if kind == "Refusal"}
    used |= {(folder, f"{code}_not") for kind, folder, code in USED if kind == "Gate"}
    for path in HERE.rglob("text.toml"):
        from analysis.page.words import _texts

        folder = path.parent.name
        for code in _texts(folder).get("refusal", {}):
            assert (folder, code) in used, f"{folder}.{code}"


def test_a_refusal_is_one_sentence_of_its_values() -> None:
    assert say(Refusal("effects.few", {"n": 12, "needed": 20})) == (
        "Effects at equal cost need 20 architectures; there are 12."
    )
    law = Refusal("laws.shape_few", {"factors": ("depth", "stem_kernel"), "n": 4, "needed": 60})
    assert say(law) == (
        "No scaling law of depth and stem kernel size is identified: 4 architectures, 60 are "
        "needed."
    )


def test_a_gate_says_what_it_asks_what_was_found_and_what_its_failure_means() -> None:
    gain = Interval(0.14, -0.02, 0.18)
    gate = Gate("laws.beats_constant", False, {"gain": gain})
    assert gate_words(gate, "found") == (f"loss lower by 14 %, {PERCENT} interval -2.0 % to 18 %")
    (row,) = gates_frame([gate]).to_dict("records")
    assert row["gate"] == gate_words(gate, "asks")
    assert not row["passed"]
    told = say(Refusal("laws.error_gates", {"gates": (gate,)}))
    assert (
        told
        == f"No error law is identified, as these checks fail: {row['gate']} ({row['detail']})."
    )


def test_a_missing_value_is_an_error_and_not_a_gap() -> None:
    with pytest.raises(Exception, match="undefined"):
        say(Refusal("effects.few", {"n": 12}))


def test_titles_and_captions_are_those_of_the_folder() -> None:
    assert Text("effects").has("method")
    assert not Text("nothing_of_the_kind").has("method")
