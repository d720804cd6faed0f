"""Every error that relabel raises on purpose; each class also is the builtin a caller would expect to catch."""

from __future__ import annotations


class RelabelError(Exception):
    """Something about the request cannot be done; the message says what, where, and the next step."""


class OptionError(RelabelError, ValueError):
    """A parameter has a value that it cannot take."""


class InputError(RelabelError, ValueError):
    """A file or array that was given holds something that cannot be used."""


class AuditError(InputError):
    """The audit of an input has a warning, and warnings were to be errors."""


class DatasetNotFoundError(InputError, FileNotFoundError):
    """The folder that was given is not laid out like the dataset that was asked for."""


class MissingFileError(RelabelError, FileNotFoundError):
    """A file that was to be read is not there."""


class OutputExistsError(RelabelError, FileExistsError):
    """The output is there already and was not to be replaced."""


class OutputError(RelabelError, OSError):
    """The output cannot be written where it was asked for."""


class OutputInUseError(OutputError):
    """Another process is writing the output."""


class FailedPartsError(RelabelError):
    """Some parts of a job failed, each for a reason of its own; the others were finished."""


class LabelFileError(RelabelError, ValueError):
    """The file is not a label file that can be trusted."""


class FormatTooNewError(LabelFileError):
    """The label file was written in a newer major version of the format than this program reads."""


class RemoteError(LabelFileError):
    """A label file at a URL cannot be read for what server or network do, which says nothing of its content."""


class NotFoundError(RelabelError, KeyError):
    """A name that was asked for is not there; the message lists those that are."""

    def __str__(self) -> str:
        # KeyError prints the repr of its argument, which would quote the whole message.
        return str(self.args[0]) if self.args else ""


class MissingPackageError(RelabelError, ImportError):
    """An optional package that this command needs is not installed."""


class DivergedError(RelabelError, FloatingPointError):
    """A training run cannot go on, since its loss or its weights are not finite any more."""
