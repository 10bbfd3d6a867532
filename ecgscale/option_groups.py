"""Options that several commands share, as one argument: a dataclass whose fields are options."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Any, TypeVar, get_type_hints

Result = TypeVar("Result")

MOST_SEED = 10**15
"""As in definitions: every generator takes it."""
MOST_TRIAL = 2**31 - 1
"""The largest number of a trial that its column holds."""


def grouped(command: Callable[..., Result]) -> Callable[..., Result]:
    """Let a command take each argument that is a dataclass as the options of its fields."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for one in inspect.signature(command).parameters.values():
        if one.name in groups:
            kinds = get_type_hints(groups[one.name], include_extras=True)
            parameters += [_option(field, kinds[field.name]) for field in fields(groups[one.name])]
        else:
            parameters.append(one.replace(annotation=hints[one.name], kind=one.KEYWORD_ONLY))

    @wraps(command)
    def with_groups(**values: Any) -> Result:
        for name, group in groups.items():
            own = {field.name: values.pop(field.name) for field in fields(group)}
            values[name] = group(**own)
        return command(**values)

    with_groups.__annotations__ = {one.name: one.annotation for one in parameters}
    with_groups.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    del with_groups.__wrapped__  # whose own arguments it has not
    return with_groups


def _option(field: Field[Any], kind: Any) -> inspect.Parameter:
    default = inspect.Parameter.empty if field.default is MISSING else field.default
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, keyword, default=default, annotation=kind)
