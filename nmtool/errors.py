"""The errors nmtool raises on purpose. Anything else that escapes is a bug.

Messages follow one form: lower case, no full stop, the offending name and value, what was expected.
The hint, when there is one, is the command or option that fixes it.
"""

# Exit codes of the command line; 0 is success.
EXIT_CHECK_FAILED = 1
EXIT_USAGE = 2
EXIT_MODEL = 3
EXIT_ENVIRONMENT = 4
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


class NmtoolError(Exception):
    """Base of all errors that are the input's or the environment's fault, never nmtool's.

    Attributes:
        message: what is wrong, naming the node, file or value.
        hint: what the user can do about it, or None.
        exit_code: the exit code of the command line.
    """

    exit_code: int = EXIT_USAGE

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class CheckError(NmtoolError):
    """A check ran, and what it checked failed."""

    exit_code = EXIT_CHECK_FAILED


class UsageError(NmtoolError):
    """An option, a parameter or a data file is wrong."""

    exit_code = EXIT_USAGE


class ModelError(NmtoolError):
    """The model cannot be read, is invalid, or cannot be handled."""

    exit_code = EXIT_MODEL


class SetupError(NmtoolError):
    """Something that must be installed or built is missing."""

    exit_code = EXIT_ENVIRONMENT


class TrainingError(NmtoolError):
    """Training went wrong: it does not converge to numbers."""

    exit_code = EXIT_CHECK_FAILED


class InterruptionError(NmtoolError):
    """The user, or the system, asked for an end; everything is saved."""

    exit_code = EXIT_INTERRUPTED
