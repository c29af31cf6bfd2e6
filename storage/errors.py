"""The one error a user can cause: a message that says what is wrong, where, and what to type next."""


class UserError(Exception):
    """A mistake the user can mend; printed without traceback, exit status 2.

    The message names what is wrong, the value, where it stands, and the next command.
    """


class UnavailableError(UserError):
    """The store gives no answer, whatever was asked: the same request may well be answered later."""
