"""Constraints of a design space: comparisons between factors, such as "w_0 >= w_init".

They come from files, so neither checking nor computing one may take much time or memory: a few
numbers within bounds, joined by + − × ÷, compared with each other, or words compared with words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Literal

from definitions import hint, joined, number, shown
from models.architecture import Value
from models.errors import ModelError

Kind = Literal["word", "number", "truth"]
LONGEST = 200
DEEPEST = 20
LARGEST_NUMBER = 1e12
CHARACTERS = re.compile(r"""[\w\s.'"()<>=!+*/%-]*""")
ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
EXAMPLE = 'a comparison such as "depth >= stages"'


def check_constraint(text: str, factors: Mapping[str, Kind]) -> None:
    """Raise ModelError unless the text compares known factors and numbers, nothing else."""
    if len(text) > LONGEST:
        raise ModelError(
            f"expected a constraint of at most {LONGEST} characters, got {len(text):,}: "
            "write several"
        )
    if not CHARACTERS.fullmatch(text):
        raise ModelError(
            f"constraint {shown(text)} may hold only factors, numbers, + - * / // %, comparisons, "
            "and, or, not: change it"
        )
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ModelError(
            f"expected {EXAMPLE} as constraint, got {shown(text)}: change it"
        ) from None
    if _kind(tree.body, _Reading(text, factors), 1) != "truth":
        raise ModelError(f"expected {EXAMPLE} as constraint, got {shown(text)}: change it")


def holds(text: str, values: Mapping[str, Value]) -> bool:
    """Return whether a checked constraint holds for the values."""
    try:
        return bool(eval(_compiled(text), {"__builtins__": {}}, dict(values)))
    except (TypeError, ArithmeticError) as error:
        raise ModelError(f"constraint {text!r} cannot be computed: {error}") from None


@lru_cache(maxsize=256)
def _compiled(text: str) -> CodeType:
    return compile(ast.parse(text.strip(), mode="eval"), "constraint", "eval")


@dataclass(frozen=True, slots=True)
class _Reading:
    """A constraint that is being checked."""

    text: str
    factors: Mapping[str, Kind]

    def refuse(self, why: str) -> ModelError:
        return ModelError(f"constraint {shown(self.text)} {why}")


def _kind(node: ast.expr, reading: _Reading, depth: int) -> Kind:
    """Return what a part of a constraint yields; check it."""
    if depth > DEEPEST:
        raise reading.refuse("is nested too deeply: write several")
    if isinstance(node, ast.Name):
        if node.id not in reading.factors:
            remedy = hint(node.id, reading.factors, f"use {joined(reading.factors)}")
            raise reading.refuse(f"names {shown(node.id)}, which is no factor: {remedy}")
        return reading.factors[node.id]
    if isinstance(node, ast.Constant):
        return _constant(node.value, reading)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ARITHMETIC):
        for part in (node.left, node.right):
            if _kind(part, reading, depth + 1) != "number":
                raise reading.refuse("computes with something that is no number: compare it")
        return "number"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        if _kind(node.operand, reading, depth + 1) != "number":
            raise reading.refuse("puts a sign before something that is no number: compare it")
        return "number"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _kind(node.operand, reading, depth + 1)
        return "truth"
    if isinstance(node, ast.BoolOp):
        for part in node.values:
            _kind(part, reading, depth + 1)
        return "truth"
    if isinstance(node, ast.Compare) and all(isinstance(op, COMPARISONS) for op in node.ops):
        return _comparison(node, reading, depth)
    found = node.op if isinstance(node, ast.BinOp | ast.UnaryOp) else node
    raise reading.refuse(
        "may hold only factors, numbers, + - * / // %, comparisons, and, or, not; "
        f"found {type(found).__name__}: change it"
    )


def _constant(value: object, reading: _Reading) -> Kind:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, str):
        return "word"
    if not isinstance(value, int | float) or not abs(value) <= LARGEST_NUMBER:
        raise reading.refuse(
            f"may hold numbers up to {number(LARGEST_NUMBER)}, got {shown(value)}: change it"
        )
    return "number"


def _comparison(node: ast.Compare, reading: _Reading, depth: int) -> Kind:
    kinds = {_kind(part, reading, depth + 1) for part in (node.left, *node.comparators)}
    if "word" in kinds and (
        len(kinds) > 1 or not all(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
    ):
        raise reading.refuse("may compare a word by == and != with words alone: change it")
    return "truth"
