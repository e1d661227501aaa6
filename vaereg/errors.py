"""Errors that a user can mend."""

__all__ = ["InputError"]


class InputError(ValueError):
    """An input of the user is not what is needed: one line says what was expected and what came.

    The command line and the pages show this line alone. Any other exception is a fault of the program, and
    its traceback is shown.
    """
