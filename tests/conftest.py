from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest tests: short ones fill up what is left on the other core."""
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)
