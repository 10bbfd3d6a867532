"""Frozen dataclasses that check themselves with pydantic; what a key may be stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, ValidationError, WrapValidator
from pydantic.dataclasses import dataclass

T = TypeVar("T")
CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)


def _as_given(value: Any, check: Callable[[Any], float]) -> Any:
    check(value)
    return value


AS_GIVEN = WrapValidator(_as_given)
"""Keeps a number whole where it was given so: 10 and 10.0 are written, and hash, apart."""


def key(
    meaning: str,
    *,
    expected: str = "",
    option: str | None = None,
    choices: Iterable[str] = (),
    **limits: Any,
) -> Any:
    """Say what a key means; its limits are pydantic's (ge, gt, le, max_length, …).

    expected: what it may be, in words, where type and limits do not tell. option: what a command
    calls it, where that is not its name. choices: words to find the nearest of for a wrong one,
    where others may come.
    """
    said = {"expected": expected, "option": option, "enum": list(choices)}
    extra: Any = {name: words for name, words in said.items() if words}
    return Field(description=meaning, json_schema_extra=extra, **limits)


@dataclass_transform(frozen_default=True)
def definition(error: type[ValueError], what: str) -> Callable[[type[T]], type[T]]:
    """Make a class a frozen dataclass that raises `error`, in one sentence, on a wrong value.

    what: what a whole one is called, such as "a study definition".
    """

    def decorate(cls: type[T]) -> type[T]:
        made: Any = dataclass(cls, frozen=True, slots=True, config=CONFIG)
        made.__definition__ = (error, what)
        check, names = made.__init__, [field.name for field in fields(made)]

        def __init__(self: Any, *args: Any, **values: Any) -> None:
            if len(args) > len(names):
                raise TypeError(f"{cls.__name__} has {len(names)} fields, got {len(args)}")
            given = dict(zip(names, args, strict=False)) | values
            try:
                check(self, **given)
            except ValidationError as found:
                raise _told(made, found, given, "") from None

        made.__init__ = __init__
        return made  # type: ignore[no-any-return]

    return decorate


def build(cls: type[T], values: object, where: str = "") -> T:
    """Return the definition that plain data (TOML, JSON) holds; `where` is where they stand."""
    checked: Any = cls
    try:
        return checked.__pydantic_validator__.validate_python(values)  # type: ignore[no-any-return]
    except ValidationError as found:
        raise _told(cls, found, values, where) from None


def _told(cls: Any, found: ValidationError, values: object, where: str) -> ValueError:
    from definitions.sentence import sentence  # what only an error needs

    error: type[ValueError]
    error, what = cls.__definition__
    for problem in found.errors(include_url=False):
        raised = problem.get("ctx", {}).get("error")
        if isinstance(raised, error):  # a rule of the class itself, in its own words
            return raised
    return error(sentence(cls, found, values, what, where))
