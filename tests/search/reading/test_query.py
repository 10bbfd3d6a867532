from __future__ import annotations

from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import StudyError
from search.reading.query import matching, select_trials

FRAME = pd.DataFrame(
    {
        "trial": [0, 1, 2, 3],
        "state": ["complete", "complete", "failed", "waiting"],
        "macro_f1": [0.4, 0.6, np.nan, np.nan],
        "flops": [2e8, 5e7, 1e9, 1e6],
        "seconds": [60.0, 120.0, np.nan, np.nan],
        "grouping": ["dense", "depthwise", "dense", "group16"],
        "kernel_size": [3, 5, 7, 23],
        "residual": [True, False, True, True],
        # One network has no factors, like a reference architecture.
        "attention": pd.Series([True, None, False, True], dtype=object),
        "failure": pd.Series([None, None, "diverged: nan", None], dtype=object),
    }
)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ("macro_f1 > 0.5 and gflops < 0.1", [1]),
        ("macro_f1 > 0.5 or gflops < 0.1", [1, 3]),
        ("not macro_f1 > 0.5", [0, 2, 3]),
        ("macro_f1 != 0.4", [1]),
        ("0.1 <= gflops <= 0.2", [0]),
        ("grouping == 'dense'", [0, 2]),
        ('state in ("failed", "waiting")', [2, 3]),
        ("kernel_size not in [3, 5]", [2, 3]),
        ("residual", [0, 2, 3]),
        ("not residual and trial == 1", [1]),
        ("attention", [0, 3]),
        ("attention and mflops > 10", [0]),
        ("attention == False", [2]),
        ("residual == True and kernel_size > 3", [2, 3]),
        ("flops / seconds > 1e6", [0]),
        ("flops > 2 * 3e7 - -4e7", [0, 2]),
        ("minutes < 1.5", [0]),
        ("failure == 'diverged: nan'", [2]),
        ("trial >= 2 and (mflops > 10 or kernel_size > 20)", [2, 3]),
    ],
)
def test_conditions(where: str, rows: list[int]):
    assert list(np.flatnonzero(matching(FRAME, where))) == rows


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("__import__('os').system('true')", "expected a condition"),
        ("macro_f1.values", "expected a condition"),
        ("trial[0] > 1", "expected a condition"),
        ("(lambda: 1)() > 0", "expected a condition"),
        ("[x for x in trial]", "expected a condition"),
        ("trial := 3", "expected a condition"),
        ("2 ** 999999999 > trial", "expected a condition"),
        ("macro_f1 >", "expected a condition"),
        ("", "expected a condition"),
        ("trial; drop table trials", "expected a condition"),
        ("macro_f2 > 0", "did you mean macro_f1"),
        ("macro_f1", "expected a comparison"),
        ("1", "expected a comparison"),
        ("macro_f1 and trial", "expected a comparison"),
        ("trial in kernel_size", "expected a list"),
        ("grouping > 3", "numbers beside numbers"),
        ("'a' * 999999999 == grouping", "numbers beside numbers"),
        ("grouping is None", "expected"),
        ("None == grouping", "expected a condition"),
        ("1 / 0 > trial", "numbers beside numbers"),
        ("1" + "0" * 400 + " * 1.5 > trial", "numbers beside numbers"),
        ("-grouping == 3", "numbers beside numbers"),
        ("(" * 2000 + "trial" + ")" * 2000, "expected a"),
        ("not " * 5000 + "residual", "expected a"),
    ],
)
def test_everything_else_is_refused(where: str, says: str):
    with pytest.raises(StudyError, match=says):
        matching(FRAME, where)


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_one_sentence(where: str):
    with suppress(StudyError):
        assert matching(FRAME, where).shape == (4,)


def test_selection_sorts_with_missing_last():
    assert list(select_trials(FRAME)["trial"]) == [0, 1, 2, 3]
    assert list(select_trials(FRAME, sort="-macro_f1")["trial"]) == [1, 0, 2, 3]
    assert list(select_trials(FRAME, sort="macro_f1")["trial"]) == [0, 1, 2, 3]
    assert list(select_trials(FRAME, "residual", "-gflops")["trial"]) == [2, 0, 3]
    with pytest.raises(StudyError, match="did you mean flops"):
        select_trials(FRAME, sort="-flop")
    assert select_trials(FRAME, "trial > 9").empty


def test_an_unknown_column_is_told_in_one_sentence() -> None:
    frame = pd.DataFrame({"trial": [0], "macro_auroc": [0.5]})
    with pytest.raises(StudyError, match=r"^expected a column in --where .*macro_auroc$"):
        select_trials(frame, "macro_aucro > 0.7")
