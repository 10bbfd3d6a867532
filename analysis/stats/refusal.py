"""What is not claimed, and the checks a claim must meet: values, put into words by templates.

A code names its template: "effects.few" is `few` in the text.toml of the folder `effects`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no result: the code of a template, and the values it needs."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition of a claim: the code of its templates, whether it is met, and its numbers."""

    code: str
    passed: bool
    values: Mapping[str, Any] = field(default_factory=dict)


def failed(gates: Sequence[Gate]) -> tuple[Gate, ...]:
    """Return the gates that are not met."""
    return tuple(gate for gate in gates if not gate.passed)
