"""A definition checks itself, and says in one sentence what is wrong."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Annotated, Literal

import pytest
from pydantic import StrictBool, StrictFloat, StrictInt, StrictStr

from definitions import AS_GIVEN, build, definition, hint, key, number, shown
from definitions.schema import known_keys


class OwnError(ValueError):
    pass


@definition(OwnError, "a part")
class Part:
    count: Annotated[StrictInt, key("How many.", ge=1, le=10_000)] = 3
    length: Annotated[StrictFloat, key("How long.", gt=0, option="--long"), AS_GIVEN] = 2.0
    kind: Annotated[Literal["round", "square"], key("What kind.")] = "round"
    pair: Annotated[tuple[StrictFloat, StrictFloat] | None, key("Two.", expected="[a, b]")] = None


@definition(OwnError, "a whole")
class Whole:
    name: Annotated[StrictStr, key("Its name.", max_length=5)]
    part: Part = Part()
    on: Annotated[StrictBool, key("Whether it is on.")] = True

    def __post_init__(self) -> None:
        if self.part.count == 7:
            raise OwnError("expected another count than 7")


def test_a_definition_is_a_frozen_dataclass() -> None:
    whole = build(Whole, {"name": "a", "part": {"count": 4, "length": 3}})
    assert whole == Whole("a", Part(4, 3))
    assert dataclasses.asdict(whole)["part"]["pair"] is None
    assert isinstance(whole.part.length, int)  # AS_GIVEN
    assert pickle.loads(pickle.dumps(whole)) == whole
    assert hash(pickle.loads(pickle.dumps(whole))) == hash(whole)
    assert dataclasses.replace(whole, on=False).on is False
    with pytest.raises(dataclasses.FrozenInstanceError):
        whole.on = False  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "expected a whole with name, a text in quotes of at most 5 characters, got none"),
        ([], "expected a whole as a table of keys and values, got []"),
        ({"name": "a", "part": 3}, "expected part to be a table of keys and values, got 3"),
        ({"name": "abcdef"}, "expected name to be a text in quotes of at most 5"),
        ({"name": "a", "on": 1}, "expected on to be true or false, got 1"),
        ({"name": "a", "part": {"count": 0}}, "part.count to be a whole number from 1 to 10,000"),
        ({"name": "a", "part": {"count": True}}, "got true"),
        ({"name": "a", "part": {"length": 0}}, "part.length (--long) to be a number above 0"),
        ({"name": "a", "part": {"kind": "squared"}}, "'round', 'square', got 'squared': did you"),
        ({"name": "a", "part": {"pair": [1]}}, "expected part.pair to be [a, b], got [1]"),
        ({"name": "a", "part": {"conut": 1}}, "a key of [part], got 'conut': did you mean 'count'"),
        ({"name": "a", "part": {"x": 1}}, "a key of [part] (count, length, kind or pair), got 'x'"),
        ({"name": "a", "count": 1}, "a key of a whole, got 'count', which belongs under [part]"),
        ({"name": "a", "part": {"on": 1}}, "got 'on', which belongs above all sections"),
        ({"name": 3, "on": 3}, "got 3: change it (and 1 more of its keys)"),
        ({"name": 3, "onn": True}, "got 'onn': did you mean 'on'?"),  # the cause of other faults
        ({"name": "a", "part": {"count": 7}}, "expected another count than 7"),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence(values: object, says: str) -> None:
    with pytest.raises(OwnError) as caught:
        build(Whole, values)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_argument_is_told_alike() -> None:
    with pytest.raises(OwnError, match=r"expected count to be a whole number .* got 0"):
        Part(0)
    with pytest.raises(OwnError, match=r"expected count to be a whole number .* got -1"):
        dataclasses.replace(Part(), count=-1)
    with pytest.raises(OwnError, match=r"a key of a part .*got 'colour'"):
        Part(colour=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="4 fields, got 5"):
        Part(1, 2, "round", None, 5)  # type: ignore[call-arg]


def test_known_keys_are_those_of_all_sections() -> None:
    keys = {(key.section, key.name): key for key in known_keys(Whole)}
    assert list(keys) == [
        *(("", "name"), ("", "on")),
        *(("part", name) for name in ("count", "length", "kind", "pair")),
    ]
    assert keys["", "name"].default is None
    assert keys["part", "count"].default == 3
    assert keys["part", "length"].option == "--long"
    assert keys["part", "count"].meaning == "How many."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (16**5000, "a whole number of about 6021 digits"),
        ([1, "a", True, None, 5], "[1, 'a', true, none, …]"),
        ([[[[1]]]], "lists within lists"),
        ({"a": 1}, "a table of keys and values"),
        ("x" * 100_000, "'" + "x" * 58 + "…"),
        ("a\nb", r"'a\nb'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_shown_on_one_short_line(value: object, text: str) -> None:
    assert shown(value) == text


def test_only_what_is_near_is_suggested() -> None:
    assert hint("dept", ["depth", "width"], "rename it") == "did you mean 'depth'?"
    assert hint("colour", ["depth", "width"], "rename it") == "rename it"
    assert hint(3, ["depth"], "rename it") == "rename it"
    assert hint("depth" * 1000, ["depth" * 1000], "rename it") == "rename it"  # takes too long


def test_numbers_are_written_as_people_do() -> None:
    written = [number(value) for value in (0, 10_000, 0.05, 1e9, 1e15, 1 / 64, 2.5e12)]
    assert written == ["0", "10,000", "0.05", "1e9", "1e15", "0.015625", "2.5e12"]
