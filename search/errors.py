"""The one error a user of `search` can cause."""


class StudyError(ValueError):
    """A study, recipe or storage cannot be used as given; the message says what to do instead."""
