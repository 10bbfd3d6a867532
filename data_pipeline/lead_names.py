"""Names of leads as devices write them, and what must not be taken for one of the twelve."""

from __future__ import annotations

import re
from functools import lru_cache

from data_pipeline.store import LEADS

_LEADS = {lead.upper(): lead for lead in LEADS}
# A hyphen, the minus sign and the dashes that word processors make of one.
_MINUS = r"[-\u2010\u2011\u2012\u2013\u2014\u2212]|(?:NEG(?:ATIVE)?|MINUS|INV(?:ERTED)?)[\s_.]+"
_NAME = re.compile(
    rf"(?P<before>{_MINUS})?\s*(?:MDC[\s_]*)?(?:ECG[\s_.:]*)?(?:LEAD[\s_.:]*)?"
    rf"(?P<after>{_MINUS})?\s*(?P<lead>I{{1,3}}|AV[RLF]|V[1-6])"
)


@lru_cache(maxsize=4096)
def parse_lead(text: str) -> tuple[str, int] | None:
    """Return the standard name of a lead and its sign, or None for what is no standard lead.

    `AVR`, `Lead aVR` and `MDC_ECG_LEAD_AVR` are (aVR, 1), `-aVR` is (aVR, -1). Whatever else
    stands in a name may change its meaning (`V1-V2`, `MLII`, `V3R`, `V1'`), so it is no lead.
    """
    match = _NAME.fullmatch(text.strip().upper())
    if match is None or (match["before"] and match["after"]):
        return None
    return _LEADS[match["lead"]], -1 if match["before"] or match["after"] else 1
