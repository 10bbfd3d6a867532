"""Checkpoints of a trial: written whole or not at all, read without executing anything."""

from __future__ import annotations

import hashlib
import io
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from data_pipeline.batches import ResidentRecords
from search.errors import StudyError
from search.training.disk import in_time, read_if_there, write_whole

FORMAT = 2  # of the state; another version's checkpoint is not gone on with


def trial_fingerprint(identity: str, *folds: ResidentRecords) -> str:
    """Return a hash of what decides a trial's result, so that no trial resumes from another's."""
    digest = hashlib.sha256(identity.encode())
    for records in folds:
        digest.update(f" {tuple(records.signals.shape)} {records.step!r} ".encode())
        digest.update(records.labels.cpu().numpy().tobytes())
        digest.update(records.signals[:: max(len(records) // 64, 1)].cpu().numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors and plain values, whole or not at all; OSError says why not."""
    content = io.BytesIO()
    torch.save(state | {"format": FORMAT}, content)
    in_time(lambda: write_whole(path, content.getvalue()))


def load_checkpoint(
    path: Path, fingerprint: str, device: torch.device | str = "cpu"
) -> dict[str, Any] | None:
    """Return the state at `path`; None when there is none, or (with a warning) none to be read.

    Starting anew gives the same result, only later. A checkpoint of another trial is an error.
    """
    try:
        content = in_time(lambda: read_if_there(path))
        if content is None:
            return None
        state: dict[str, Any] = torch.load(
            io.BytesIO(content), map_location=device, weights_only=True
        )
        if state.get("format") != FORMAT:
            raise ValueError("another version of ecgscale wrote it")
        found = state["fingerprint"]
    except Exception as error:  # whatever a damaged file makes torch and pickle raise
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        warnings.warn(f"{path} cannot be read ({reason}); the trial starts anew.", stacklevel=2)
        return None
    if found != fingerprint:
        raise StudyError(
            f"Expected {path} to be a checkpoint of this trial, but it was written for another"
            " network, recipe, precision, seed or data; remove it or choose another folder."
        )
    return state


def remove_checkpoint(path: Path) -> None:
    """Remove the checkpoint of a trial that has ended, if the disk lets us."""
    with suppress(OSError):
        in_time(lambda: path.unlink(missing_ok=True))
