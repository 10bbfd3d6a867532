"""The lines of a dumped study: what each must be, checked before anything reaches a database."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeInt,
    ValidationError,
)
from pydantic_core import from_json

from search.errors import StudyError

FORMAT, VERSION = "ecgscale-study", 2
# The outputs of a trial on the whole Challenge take 2 MB, and so do the notes of 2,000 trials.
LINE_BYTES = 16_000_000
MOST_TRIALS = 1_000_000


def _json(value: str) -> str:
    from_json(value)  # with a limit to its depth
    if r"\u0000" in value:
        raise ValueError("a NUL character, which no text of PostgreSQL holds")
    return value


Text = Annotated[str, AfterValidator(_json)]
Number = FiniteFloat | None


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class TestRecords(_Strict):
    """Labels, patients and sources of the test records, encoded."""

    study_id: int | None = None
    labels: str
    patients: str
    sources: str


class Header(_Strict):
    """The first line; version 1 had neither the number of trials nor their checksum."""

    format: Literal["ecgscale-study"]
    version: Literal[1, 2]
    name: str
    trials: Annotated[int, Field(ge=1, le=MOST_TRIALS)] | None = None
    sha256: str | None = None
    user: dict[str, Text]
    system: dict[str, Text] | None = None
    test_records: TestRecords | None = None


class DumpedTrial(_Strict):
    """A trial with everything that hangs on it."""

    number: NonNegativeInt
    state: Literal["WAITING", "COMPLETE", "PRUNED", "FAIL"]
    started: datetime | None
    finished: datetime | None
    params: list[tuple[str, FiniteFloat, Text]]
    user: list[tuple[str, Text]]
    system: list[tuple[str, Text]]
    values: list[tuple[NonNegativeInt, Number, Literal["FINITE", "INF_POS", "INF_NEG"]]]
    curve: list[tuple[NonNegativeInt, Number, Literal["FINITE", "INF_POS", "INF_NEG", "NAN"]]]
    classes: list[tuple[str, int | None, Number, Number, Number, Number]]
    outputs: list[tuple[str]] = []


def digest_of(header: dict[str, Any]) -> hashlib._Hash:
    """Begin the checksum of a dump with its first line, all but the checksum; trials follow."""
    rest = {key: value for key, value in header.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode())


Model = TypeVar("Model", Header, DumpedTrial)


class Dump:
    """A dumped study, read line by line; every fault of the file is a StudyError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = self._read()
        first = next(self._lines, b"")
        self._require_version(first)
        self.header = self._parse(Header, first, 1)
        self._digest = digest_of(from_json(first))

    def trials(self) -> Iterator[DumpedTrial]:
        """Yield the trials, numbered from 0 on; at the end their number and checksum are known."""
        digest, count = self._digest.copy(), 0
        for line in self._lines:
            trial = self._parse(DumpedTrial, line, count + 2)
            if trial.number != count:
                raise self._damaged(f"trial {trial.number} where {count} belongs")
            digest.update(line)
            count += 1
            if count > self.planned:
                break
            yield trial
        if count != self.planned:
            more = "more" if count > self.planned else count
            raise self._damaged(f"{more} trials where {self.planned} belong")
        if self.header.sha256 not in (None, digest.hexdigest()):
            raise self._damaged("trials that do not have the checksum of the first line")

    @property
    def planned(self) -> int:
        """The number of trials that the file must have."""
        try:
            stated = self.header.trials or int(from_json(self.header.user["planned"]))
        except (KeyError, ValueError, TypeError):
            raise self._damaged("no number of trials in the first line") from None
        return min(stated, MOST_TRIALS)

    def _require_version(self, line: bytes) -> None:
        try:
            found = from_json(line)
            known = found["format"] == FORMAT
            newer = known and type(found["version"]) is int and found["version"] > VERSION
        except (ValueError, TypeError, KeyError):
            known = newer = False
        if newer:
            raise StudyError(
                f"expected a study dumped by ecgscale in version {VERSION} or older, got version "
                f"{found['version']} in {self.path}: load it with the newer ecgscale that made it"
            )
        if not known:
            raise StudyError(
                f"expected a study dumped by ecgscale, got {self.path}: make it with "
                "'ecgscale dump'"
            )

    def _parse(self, model: type[Model], line: bytes, number: int) -> Model:
        try:
            return model.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            where = f"line {number}" + (f" ({place})" if place else "")
            raise self._damaged(f"{where}: {first['msg']}") from None

    def _read(self) -> Iterator[bytes]:
        try:
            with gzip.open(self.path, "rb") as file:
                while line := file.readline(LINE_BYTES + 1):
                    if len(line) > LINE_BYTES:
                        raise self._damaged(f"a line of more than {LINE_BYTES / 1e6:g} MB")
                    yield line
        except (OSError, EOFError, zlib.error) as error:
            reason = getattr(error, "strerror", None) or error
            raise self._damaged(str(reason)) from None

    def _damaged(self, what: str) -> StudyError:
        return StudyError(
            f"expected a whole file of 'ecgscale dump' at {self.path}, got: {what}; nothing was "
            "loaded, take another copy"
        )
