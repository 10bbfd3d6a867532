"""What a worker says: sentences for people, or one JSON line per event for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

# user:password@ in a URL, up to the last @; drivers quote addresses in their messages.
URL_PASSWORD = re.compile(r"(://[^\s:/@]*):\S+@")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: a name, a sentence (may be empty), and values to compute with."""

    name: str
    text: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


Log = Callable[[Event], None]


def text_log(say: Callable[[str], None]) -> Log:
    """Return a log of sentences; events without one are left out."""

    def log(event: Event) -> None:
        if event.text:
            say(event.text)

    return log


def json_log(say: Callable[[str], None], *, secret: str | None = None, **common: Any) -> Log:
    """Return a log of JSON lines: time (UTC), event, the common values, the event's own, message.

    Passwords in URLs, and `secret` wherever it stands, come out as `***`.
    """

    def log(event: Event) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": now, "event": event.name, **common, **event.values}
        if event.text:
            line["message"] = event.text
        # NaN is no JSON; what JSON does not know is written as its text.
        clean = {key: _plain(value, secret) for key, value in line.items()}
        say(json.dumps(clean, ensure_ascii=False, default=str, allow_nan=False))

    return log


def without_passwords(text: str, secret: str | None = None) -> str:
    """Return a text in which no password of a URL is left, nor `secret`."""
    text = URL_PASSWORD.sub(r"\1:***@", text)
    return text.replace(secret, "***") if secret else text


def _plain(value: Any, secret: str | None) -> Any:
    if isinstance(value, str):
        return without_passwords(value, secret)
    if isinstance(value, float) and value - value != 0:  # NaN, infinities
        return None
    return value
