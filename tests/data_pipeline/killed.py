"""A preparation whose process is killed by one record always and by another one once."""

import os
import signal
from pathlib import Path

from data_pipeline import PrepareOptions
from data_pipeline.parts import Part, prepare_part


def prepare_and_be_killed(part: Part, *, raw: Path, folder: Path, killers=(), journal=False):  # type: ignore[no-untyped-def]
    """Prepare a part in a process that one record kills, and another one once."""
    once = folder / "killed-once"
    for candidate in part.candidates:
        if candidate.record == "A150" and candidate.path not in killers:
            if journal:
                part.journal(folder).write_text(candidate.path)
            os.kill(os.getpid(), signal.SIGKILL)
        if candidate.record == "A050" and not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    options = PrepareOptions()
    return prepare_part(part, raw, folder, options, (), killers=killers, journal=journal)
