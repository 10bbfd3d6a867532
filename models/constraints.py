"""Constraints of a design space: comparisons between factors, such as "w_0 >= w_init"."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from functools import lru_cache
from types import CodeType

from models.architecture import Value
from models.errors import ModelError

_ALLOWED = (
    ast.Expression,
    ast.Compare,
    ast.BoolOp,
    ast.BinOp,
    ast.UnaryOp,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.cmpop,
    ast.boolop,
    ast.operator,
    ast.unaryop,
)


def check_constraint(text: str, names: Collection[str]) -> None:
    """Raise ModelError unless the text compares known factors and numbers, nothing else."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        raise ModelError(f'expected a constraint such as "depth >= stages", got {text!r}') from None
    if not isinstance(tree.body, ast.Compare | ast.BoolOp | ast.UnaryOp):
        raise ModelError(f'expected a comparison such as "depth >= stages", got {text!r}')
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in names:
            raise ModelError(
                f"constraint {text!r} names {node.id!r}, which is no factor; "
                f"the factors are {', '.join(names)}"
            )
        if not isinstance(node, _ALLOWED) or isinstance(node, ast.Pow):
            raise ModelError(
                f"constraint {text!r} may hold only factors, numbers, arithmetic, comparisons, "
                f"and, or, not; found {type(node).__name__}"
            )


def holds(text: str, values: Mapping[str, Value]) -> bool:
    """Return whether a checked constraint holds for the values."""
    try:
        return bool(eval(_compiled(text), {"__builtins__": {}}, dict(values)))
    except (TypeError, ZeroDivisionError) as error:
        raise ModelError(f"constraint {text!r} cannot be computed: {error}") from None


@lru_cache(maxsize=256)
def _compiled(text: str) -> CodeType:
    return compile(ast.parse(text, mode="eval"), "constraint", "eval")
