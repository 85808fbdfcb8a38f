"""The errors a user can meet. A message says what was given, what is allowed and what to do.

`MinireasonError` is the root: the command line prints its message on one line and exits with 2.
Each child is also the standard exception of its kind, so library users can catch either.
"""


class MinireasonError(Exception):
    """Anything the user can put right: bad input, a missing file, a changed recipe."""


class RecipeError(MinireasonError, ValueError):
    """A recipe file or a `--set` override cannot be used as it is."""


class DataError(MinireasonError, ValueError):
    """A data file holds something that cannot be read, or a selection came out empty."""


class MissingError(MinireasonError, FileNotFoundError):
    """A file, a folder or a finished step that is needed is not there."""


class RunFolderError(MinireasonError, RuntimeError):
    """A run folder was made with another recipe, is in use, or cannot be written."""


class SamplingError(MinireasonError, ValueError):
    """A sampling request cannot be served, for example a prompt longer than the context."""


class PromptTooLongError(SamplingError):
    """A prompt fills the context and leaves no room for a response."""


class ExportError(MinireasonError, ValueError):
    """A model cannot be exported as asked, or what was made of it is not what was asked."""


class PublishError(MinireasonError, RuntimeError):
    """A model cannot be published as it is, or the hub refuses it."""


class Preempted(KeyboardInterrupt):
    """The machine asks the run to end (SIGTERM): what is done is kept, and it goes on later."""
