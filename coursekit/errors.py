"""Errors that a learner can mend: each message says what was expected, what came, what to do."""

from __future__ import annotations


class CourseError(Exception):
    """A problem the user can mend; the command line prints its one sentence and exits with 2."""


class ArgumentError(CourseError, ValueError):
    """A wrong value for an argument, a name or a setting."""


class DataError(CourseError, RuntimeError):
    """A data set that cannot be found, read, verified or written."""


class NotebookError(CourseError, RuntimeError):
    """A notebook that cannot be built or run; the message names the notebook and the cell."""
