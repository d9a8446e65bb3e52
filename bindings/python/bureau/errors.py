"""What can go wrong: one class for each code of bureau's errors, all of them `Error`.

The message is the engine's, unchanged: it names the field, the value and the rule.
"""

from __future__ import annotations

__all__ = [
    "Busy", "Cancelled", "Conflict", "Corrupt", "Deadline", "Error", "Exhausted", "Exists", "Forbidden",
    "Gone", "Internal", "Invalid", "NotFound", "Suspended", "Unavailable", "UnknownOutcome", "Upgraded",
]


class Error(Exception):
    """Anything that bureau refuses or cannot do. `code` says what a caller can do about it."""

    code: str = "internal"
    _number: int = 15

    def __init__(self, message: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        #: The name of the field at fault; empty when no one field is.
        self.field = field

    def __reduce__(self) -> tuple[type[Error], tuple[str, str]]:
        return type(self), (self.message, self.field)


class Invalid(Error, ValueError):
    """What was given breaks a rule and would break it again: fix the input."""

    code, _number = "invalid", 1


class NotFound(Error, LookupError):
    """There is no such row for this caller; a hidden row is not found either."""

    code, _number = "not_found", 2


class Exists(Error):
    """A value that must be unique is taken."""

    code, _number = "exists", 3


class Conflict(Error):
    """The row is not in the state that the call needs: read again, then decide."""

    code, _number = "conflict", 4


class Forbidden(Error):
    """The caller may see the row but not do this."""

    code, _number = "forbidden", 5


class Busy(Error):
    """Somebody else holds what the call needs; nothing was changed."""

    code, _number = "busy", 6


class Deadline(Error):
    """The time that the caller allowed has passed; nothing was changed."""

    code, _number = "deadline", 7


class Cancelled(Error):
    """The caller, or the owner of the work, cancelled it. Not asyncio's CancelledError."""

    code, _number = "cancelled", 8


class Gone(Error):
    """What was asked for is no longer kept: start anew."""

    code, _number = "gone", 9


class Suspended(BaseException):
    """Not a failure: a run rests here, and the handler will be called again.

    It is no `Exception`, so that `except Exception` lets it pass, and no
    `asyncio.CancelledError`. A handler lets it through.
    """

    code, _number = "suspended", 10

    def __init__(self, message: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class Unavailable(Error):
    """The storage or a peer cannot be used now; the write was not made."""

    code, _number = "unavailable", 11


class UnknownOutcome(Error):
    """The write may or may not have been made: look before doing it again."""

    code, _number = "unknown_outcome", 12


class Corrupt(Error):
    """What was stored breaks its own rules, or the file is not ours or too new."""

    code, _number = "corrupt", 13


class Internal(Error):
    """A defect in bureau or in a handler."""

    code, _number = "internal", 15


class Exhausted(Error):
    """A limit was reached: size, count, budget."""

    code, _number = "exhausted", 14


class Upgraded(Error):
    """A newer program has changed the file so that this one may not use it any more."""

    code, _number = "upgraded", 16


#: By the numbers of bureau::Code, which are frozen.
by_number: tuple[type[BaseException], ...] = (
    Error, Invalid, NotFound, Exists, Conflict, Forbidden, Busy, Deadline, Cancelled, Gone, Suspended,
    Unavailable, UnknownOutcome, Corrupt, Exhausted, Internal, Upgraded,
)
