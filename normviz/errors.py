"""The few exceptions of normviz; each message says what was wrong, with what, and what to do."""

from __future__ import annotations


class NormvizError(Exception):
    """Base of every error that normviz raises on purpose; its text is fit for a visitor's eyes."""


class ReadError(NormvizError):
    """A source cannot be read.

    >>> str(ReadError("cat.jpg", "the file is empty", "Upload it again"))
    'cat.jpg: the file is empty. Upload it again.'
    """

    def __init__(self, path: str, reason: str, remedy: str = "") -> None:
        self.path = path
        self.reason = reason.rstrip(".")
        self.remedy = remedy.rstrip(".")
        parts = [f"{path}: {self.reason}." if path else f"{self.reason}."]
        if self.remedy:
            parts.append(f"{self.remedy}.")
        super().__init__(" ".join(parts))

    def __reduce__(self) -> tuple:
        # An error that crosses to another process is made again from its parts.
        return type(self), (self.path, self.reason, self.remedy)


class LimitError(ReadError):
    """A source is larger than the stated limits allow; refused before it costs memory."""


class ShapeError(NormvizError):
    """An array does not have the shape, dtype or value range that was expected."""


class ParameterError(NormvizError):
    """A parameter lies outside of what the method or the light allows."""


class NotFittedError(NormvizError):
    """A dataset-scope method was asked to work without the statistics that it needs."""
