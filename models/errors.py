"""The one error a caller of this package can cause."""


class ModelError(ValueError):
    """A design space, an architecture or a cost was asked for in a way that cannot be met."""
