"""What a refusal says, for tests that hold it against words."""

from __future__ import annotations

from analysis.page.words import say
from analysis.stats.refusal import Refusal


def refused(result: object) -> str:
    """Return the sentence of a result that must be a refusal."""
    assert isinstance(result, Refusal)
    return say(result)
