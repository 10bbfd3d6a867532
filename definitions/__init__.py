"""What users write down, checked: one way to say what a key may be, and to say what is wrong.

The lowest package: it knows nothing of ECGs, networks or studies, and imports nothing of ours.
"""

from __future__ import annotations

from definitions.model import AS_GIVEN, build, definition, key
from definitions.words import hint, joined, number, shown

__all__ = ["AS_GIVEN", "build", "definition", "hint", "joined", "key", "number", "shown"]
