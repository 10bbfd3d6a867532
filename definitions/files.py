"""Files of users, read within bounds: none can take much memory, also no device without an end."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def read_at_most(path: Path, most: int) -> bytes:
    """Return a file's content; OSError where it cannot be read or has more than `most` bytes."""
    with path.open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"{os.strerror(errno.EFBIG)}: more than {most:,} bytes")
    return content
