"""The one exception that bad input raises: a line that names the thing, what was found, what was wanted."""


class InputError(ValueError):
    """Input that masu cannot use.

    The message is one line naming the thing (file, argument), what was found, what was wanted and the
    fix. The command line prints it to stderr and exits with code 2; no traceback is shown.
    """
