"""Forms that an image may have in Python: files, bytes, streams, arrays, tensors, Pillow images."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from asl.data.images import Pixels, read_file
from asl.types import UsageError

_FORMS = (
    "a path, encoded bytes, a binary stream, a Pillow image, a uint8 or float (0..1) array [H, W] "
    "or [H, W, C], or a torch tensor [C, H, W]"
)

# Written as they are: the conversion to RGB would lose the transparency, and clip 16 bits to white.
_PNG_MODES = frozenset({"RGB", "RGBA", "L", "LA", "P", "I;16"})


class Readable(Protocol):
    """A binary stream, such as an open file or ``io.BytesIO``."""

    def read(self) -> bytes:
        """Return the rest of the stream."""
        ...


ImageInput = str | os.PathLike[str] | bytes | Readable | npt.NDArray[Any] | Image.Image


def is_path(image: object) -> bool:
    """Check for a path; every other form has no name of its own."""
    return isinstance(image, str | os.PathLike)


def is_image(images: object) -> bool:
    """Check for one image in any form; everything else is a collection of images."""
    return (
        is_path(images)
        or isinstance(images, bytes | bytearray | memoryview | np.ndarray | Image.Image)
        or hasattr(images, "read")
        or _is_tensor(images)
    )


def is_encoded(image: object) -> bool:
    """Check for a form that has a file format; arrays, tensors and Pillow images have none."""
    return (
        is_path(image)
        or isinstance(image, bytes | bytearray | memoryview)
        or (hasattr(image, "read") and not isinstance(image, Image.Image))
    )


def encoded(image: ImageInput) -> bytes:
    """Return the encoded bytes of an image; bare pixels are encoded as PNG.

    Raises:
        UsageError: the file cannot be read, or the value is no image.
    """
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, str | os.PathLike):
        try:
            return read_file(Path(image).expanduser())
        except OSError as error:
            raise UsageError(f"{image}: cannot be read ({error.strerror})") from error
    if isinstance(image, Image.Image):
        upright = ImageOps.exif_transpose(image)
        return _png(upright if upright.mode in _PNG_MODES else upright.convert("RGB"))
    if hasattr(image, "read"):
        data = image.read()
        if not isinstance(data, bytes):
            raise UsageError("image: expected a binary stream, got text; open the file with 'rb'")
        return data
    return _png(Image.fromarray(array_pixels(image)))


def array_pixels(image: object) -> Pixels:
    """Convert an array or a torch tensor to 8 bits.

    Args:
        image: array ``[H, W]`` (gray), ``[H, W, 1]``, ``[H, W, 3]`` (RGB) or ``[H, W, 4]`` (RGBA),
            or a tensor with the channels first; uint8, or float in 0..1.

    Returns:
        uint8 ``[H, W]``, ``[H, W, 3]`` or ``[H, W, 4]``.

    Raises:
        UsageError: it has another shape, type or range.

    >>> array_pixels(np.full((1, 1), 0.5)).tolist()
    [[128]]
    """
    array = _array_of(image)
    kind = f"{array.dtype} {list(array.shape)}"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise UsageError(f"image: expected {_FORMS}, got {kind}")
    if 0 in array.shape:
        raise UsageError(f"image: has no pixels, got {kind}; give an array of one pixel or more")
    if array.dtype == np.bool_:
        array = array.astype(np.float32)
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            raise UsageError(
                f"image: float pixels must be in 0..1, got {low:g} to {high:g}; "
                "divide by 255, or convert to uint8"
            )
        return np.round(255 * array.astype(np.float32)).astype(np.uint8)
    if array.dtype != np.uint8:
        raise UsageError(f"image: expected uint8 or float pixels, got {kind}; convert to uint8")
    return np.ascontiguousarray(array)


def _array_of(image: object) -> npt.NDArray[Any]:
    if isinstance(image, np.ndarray):
        return image
    if not _is_tensor(image):
        raise UsageError(f"image: expected {_FORMS}, got {type(image).__name__}")
    tensor: Any = image
    array: npt.NDArray[Any] = tensor.detach().cpu().float().numpy()
    if not tensor.is_floating_point():
        array = tensor.detach().cpu().numpy()
    return np.moveaxis(array, 0, -1) if array.ndim == 3 else array


def _is_tensor(image: object) -> bool:
    """Check for a torch tensor, without importing torch."""
    return hasattr(image, "detach") and hasattr(image, "is_floating_point")


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
