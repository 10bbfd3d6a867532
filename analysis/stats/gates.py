"""Conditions a claim must meet before it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: what it asks, whether it is met, and the numbers behind that."""

    name: str
    passed: bool
    detail: str


def refusal(claim: str, gates: Sequence[Gate]) -> str | None:
    """Name the failed gates in one sentence, or return None when all are met."""
    failed = [f"{gate.name} ({gate.detail})" for gate in gates if not gate.passed]
    return (
        f"no {claim} is identified, as these checks fail: {'; '.join(failed)}" if failed else None
    )


def gates_frame(gates: Sequence[Gate]) -> pd.DataFrame:
    """Return one row per gate, for the CSV."""
    rows = [{"gate": g.name, "passed": g.passed, "detail": g.detail} for g in gates]
    return pd.DataFrame(rows, columns=["gate", "passed", "detail"])
