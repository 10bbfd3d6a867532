"""The errors that a user of `search` can cause."""


class StudyError(ValueError):
    """A study, recipe or storage cannot be used as given; the message says what to do instead."""


class NotYet(StudyError):
    """Something is not there that others may still make: the database, its tables, a study."""
