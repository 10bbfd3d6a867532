"""Who and what a study is of, kept with it: its report needs no store to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_pipeline.cohort import Flow, characteristics, flow, people
from search.definition import DataPlan
from search.training.folds import fold_rows
from search.training.outputs import pack, unpack

if TYPE_CHECKING:
    from data_pipeline import Store

COHORT = "cohort"
EACH = 3  # test ECGs on which a network was right, and as many on which it was wrong


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """The records of a study.

    `characteristics` is text for people, a column per split; `names` has the full name of each
    class; `tested` sex and age group of each test record, in the order of `Outputs`.
    """

    flow: Flow
    characteristics: pd.DataFrame
    names: Mapping[str, str]
    tested: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON types, some 10 kB: no person can be told from it."""
        return {
            "flow": asdict(self.flow),
            "characteristics": self.characteristics.to_dict("split", index=False),
            "names": dict(self.names),
            "tested": {
                str(kind): {
                    "groups": [str(name) for name in self.tested[kind].cat.categories],
                    "records": pack(self.tested[kind].cat.codes.to_numpy().astype("u1")),
                }
                for kind in self.tested
            },
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Cohort:
        """Read what `to_dict` wrote."""
        table = stored["characteristics"]
        tested = {
            kind: pd.Categorical.from_codes(
                unpack(one["records"], "u1").astype(np.int64), one["groups"], ordered=True
            )
            for kind, one in stored["tested"].items()
        }
        return cls(
            Flow(**stored["flow"]),
            pd.DataFrame(table["data"], columns=table["columns"]),
            stored["names"],
            pd.DataFrame(tested),
        )


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutEcgs:
    """A study's store, and the rows of its test records in the order of `Outputs`.

    `each` is how many right ones, and how many wrong ones, are to be drawn.
    """

    store: Store
    rows: NDArray[np.int64]
    each: int = EACH

    @classmethod
    def of(cls, store: Store, chosen: DataPlan, each: int = EACH) -> HeldOutEcgs:
        """Find the rows of a study with these folds."""
        return cls(store, fold_rows(store, chosen)["test"], each)


def cohort_of(store: Store, chosen: DataPlan) -> Cohort:
    """Describe the records of a store that a study with these folds is of."""
    rows = fold_rows(store, chosen)
    return Cohort(
        flow(store, rows),
        characteristics(store, rows),
        store.class_names,
        people(store.records.iloc[rows["test"]])[["sex", "age"]],
    )


def read_cohort(attributes: Mapping[str, Any]) -> Cohort | None:
    """Return what the attributes of a study hold; None of one that was made before it was kept."""
    stored = attributes.get(COHORT)
    return None if stored is None else Cohort.from_dict(stored)
