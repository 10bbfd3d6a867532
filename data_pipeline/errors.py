"""The one error a user of the data pipeline can cause."""


class DataError(ValueError):
    """Report in one sentence what was expected, what came and what to do."""
