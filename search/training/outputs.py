"""What a confirmed network said about the test records, as it travels and is kept."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """Probabilities (records, classes) with labels, patients and sources of the same records.

    `patients` are numbers that are equal where the patient is; no record can be told from them.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[np.uint8]
    patients: NDArray[np.int64]
    sources: tuple[str, ...]

    def encoded(self) -> str:
        """Pack the probabilities."""
        return pack(self.probabilities.astype("<f4"))

    def encoded_records(self) -> dict[str, str]:
        """Pack what is the same for all trials of a study."""
        return {
            "labels": pack(self.labels.astype("u1")),
            "patients": pack(self.patients.astype("<i8")),
            "sources": json.dumps(self.sources),
        }

    @classmethod
    def decoded(cls, outputs: str, records: Any) -> Outputs:
        """Unpack the probabilities of a trial and the records of its study."""
        sources = tuple(json.loads(records.sources))
        count = len(sources)
        labels = unpack(records.labels, "u1").reshape(count, -1)
        return cls(
            probabilities=unpack(outputs, "<f4").reshape(count, -1),
            labels=labels,
            patients=unpack(records.patients, "<i8"),
            sources=sources,
        )


def pack(values: NDArray[Any]) -> str:
    """Write an array's bytes as text that any database and a line of JSON can hold."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values).tobytes(), 6)).decode()


def unpack(text: str, kind: str) -> NDArray[Any]:
    """Read the flat array that `pack` wrote."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=kind)
