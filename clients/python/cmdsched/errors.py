"""What the client itself refuses; everything else is an error of the driver."""


class NaiveDatetimeError(ValueError):
    """A datetime has no time zone, so it says no moment."""


class UnknownCommandError(LookupError):
    """A class, or a command_type of a command_module, is not registered."""


class LeaseLostError(RuntimeError):
    """A command is no longer ours: its lease ended, or it was cancelled.

    Whoever completes a command in a transaction of its own lets this error
    roll it back; somebody else carries the command out.
    """
