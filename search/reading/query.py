"""Conditions on trials, such as "macro_f1 > 0.5 and gflops < 0.1", read without evaluating code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd

from search.errors import StudyError

# Columns in the units people speak of: name, column, divisor.
UNITS = {
    "kflops": ("flops", 1e3),
    "mflops": ("flops", 1e6),
    "gflops": ("flops", 1e9),
    "kparams": ("params", 1e3),
    "mparams": ("params", 1e6),
    "minutes": ("seconds", 60.0),
}
COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
HELP = 'compare columns with and, or, not, in, as in "macro_f1 > 0.5 and gflops < 0.1"'


def select_trials(
    frame: pd.DataFrame, where: str | None = None, sort: str = "trial"
) -> pd.DataFrame:
    """Keep the trials for which a condition holds, sorted by a column ("-macro_f1": descending).

    A missing value makes a comparison false. Sorting puts missing values last.
    """
    chosen = frame if where is None else frame[matching(frame, where)]
    name = sort.removeprefix("-")
    column = _column(chosen, name, f"--sort {sort}")
    order = column.reset_index(drop=True).sort_values(
        ascending=not sort.startswith("-"), kind="stable", na_position="last"
    )
    return chosen.iloc[order.index.to_numpy()].reset_index(drop=True)


def matching(frame: pd.DataFrame, where: str) -> np.ndarray:
    """Say for every trial whether the condition holds."""
    tree = _parsed(where)
    try:
        result = _switch(_Reader(frame, where).read(tree))
    except RecursionError:
        raise StudyError(f"expected a shorter condition in --where: {HELP}") from None
    except StudyError:  # a ValueError too, but it says already what is wrong
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise StudyError(
            f"expected numbers beside numbers and texts beside texts in --where, got {where!r}: "
            f"{str(error).splitlines()[0]}"
        ) from None
    if np.ndim(result) == 0 or np.asarray(result).dtype != bool:
        raise StudyError(f"expected a comparison in --where, got {where!r}: {HELP}")
    return np.asarray(result)


def columns(where: str) -> set[str]:
    """Return the columns that a condition speaks of; a unit such as mflops as its column."""
    names = {node.id for node in ast.walk(_parsed(where)) if isinstance(node, ast.Name)}
    return {UNITS[name][0] if name in UNITS else name for name in names}


class _Reader:
    """Walk a parsed condition; what is not listed here is refused."""

    def __init__(self, frame: pd.DataFrame, where: str) -> None:
        self.frame, self.where = frame, where

    def read(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return value
            case ast.Name(id=name):
                return _column(self.frame, name, f"--where {self.where!r}")
            case ast.BoolOp(op=op, values=values):
                combine = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return combine.reduce([self._truth(value) for value in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return ~self._truth(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                return ARITHMETIC[type(op)](self._number(left), self._number(right))
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                parts = [left, *comparators]
                pairs = zip(ops, parts, comparators, strict=False)
                return np.logical_and.reduce([self._compare(op, a, b) for op, a, b in pairs])
        raise StudyError(
            f"expected a condition in --where, got {ast.unparse(node)!r} in {self.where!r}: {HELP}"
        )

    def _truth(self, node: ast.expr) -> Any:
        value = _switch(self.read(node))
        if np.asarray(value).dtype != bool:
            raise StudyError(
                f"expected a comparison, got {ast.unparse(node)!r} in --where {self.where!r}: "
                + HELP
            )
        return np.broadcast_to(np.asarray(value), len(self.frame))

    def _number(self, node: ast.expr) -> Any:
        value = self.read(node)
        if isinstance(value, str):
            raise TypeError(f"{value!r} is a text")
        return value

    def _compare(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> Any:
        a = self.read(left)
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.Tuple | ast.List | ast.Set):
                raise StudyError(
                    f"expected a list after 'in', got {ast.unparse(right)!r} in --where "
                    f"{self.where!r}: write it as (3, 5)"
                )
            values = [self.read(item) for item in right.elts]
            found = np.logical_or.reduce([self._same(a, value) for value in values])
            return found if isinstance(op, ast.In) else ~np.asarray(found)
        if type(op) not in COMPARE:
            raise StudyError(f"expected <, <=, ==, !=, >=, > or in, in --where {self.where!r}")
        b = self.read(right)
        present = ~(_missing(a) | _missing(b))
        result = np.zeros(len(self.frame), dtype=bool)
        pick = [v[present] if isinstance(v, pd.Series) else v for v in (a, b)]
        result[present] = np.asarray(COMPARE[type(op)](*pick), dtype=bool)
        return result

    def _same(self, a: Any, value: Any) -> Any:
        return np.broadcast_to(np.asarray(a == value, dtype=bool), len(self.frame))


def _parsed(where: str) -> ast.expr:
    try:
        return ast.parse(where.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise StudyError(f"expected a condition in --where, got {where!r}: {HELP}") from None


def _switch(value: Any) -> Any:
    """Return a column of switches as bool, off where missing: reference CNNs have no factors."""
    if isinstance(value, pd.Series) and value.dtype == object:
        known = value.dropna()
        if len(known) and all(isinstance(one, bool) for one in known):
            return value.eq(True).to_numpy()
    return value


def _missing(value: Any) -> Any:
    return value.isna().to_numpy() if isinstance(value, pd.Series) else False


def _column(frame: pd.DataFrame, name: str, place: str) -> pd.Series:
    if name in frame.columns:
        return frame[name]
    if name in UNITS and UNITS[name][0] in frame.columns:
        column, divisor = UNITS[name]
        return frame[column] / divisor
    known = [*frame.columns, *UNITS]
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}" if near else f"there are {', '.join(known)}"
    raise StudyError(f"expected a column in {place}, got {name!r}: {hint}")
