"""The one error type of the package."""


class AnalysisError(ValueError):
    """A table that cannot be analysed; the message is one sentence with what to do."""
