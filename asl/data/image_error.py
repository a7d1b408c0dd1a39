"""The error of an image that cannot be used."""

from __future__ import annotations

from asl.data.signatures import INSTALL_PHOTOS
from asl.types import AslError

TOO_LARGE = "too many pixels"  # start of the reason of an image beyond the limit

_NEEDS_EXTRA = f"; to read it: {INSTALL_PHOTOS}"  # end of the reason of a picture that needs it


class ImageError(AslError):
    """An image that cannot be used.

    Attributes:
        reason: short, without a path.
    """

    def __init__(self, reason: str, *, image: str = "") -> None:
        """Make an error.

        Args:
            reason: short, without a path.
            image: path or argument that the message names.
        """
        super().__init__(f"{image}: {reason}" if image else reason)
        self.reason = reason

    @property
    def too_large(self) -> bool:
        """True where the image has more pixels than the limit."""
        return self.reason.startswith(TOO_LARGE)


def reason_of(error: Exception) -> str:
    """Return why an image cannot be used: short, without its path where that is known.

    >>> reason_of(FileNotFoundError(2, "No such file or directory", "photos/1.jpg"))
    'cannot be read: No such file or directory'
    """
    if isinstance(error, ImageError):
        return error.reason
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return str(error) or type(error).__name__


def too_large(pixels: int, limit: int) -> ImageError:
    """Return the error of an image with more pixels than the limit."""
    return ImageError(f"{TOO_LARGE}: {pixels / 1e6:.4g} megapixels, the limit is {limit / 1e6:.4g}")


def needs_extra(kind: str) -> str:
    """Return the reason of a picture whose format the extra reads."""
    return f"a {kind} picture{_NEEDS_EXTRA}"


def is_curable(reason: str) -> bool:
    """Check that an image failed for what may have changed: a limit, a package that was missing."""
    return reason.startswith(TOO_LARGE) or reason.endswith(_NEEDS_EXTRA)
