"""View: an edited image, its trace to the original, and the log of its edits."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from asl.edits.engine.scaling import scaled
from asl.edits.engine.trace import (
    Mask,
    Matrix,
    Points,
    Trace,
    resize_matrix,
    transform,
    warp_pixels,
)
from asl.types import F32, U8, AslError

Pixels = U8
Gray = F32
Gray8 = U8
_COMPARED_SIDE = 80  # pixels of the longer side at which a view is compared with its original
_SSIM_WINDOW = 7  # pixels, side of the window of the structure term
_LEVELS_PER_OCTAVE = 4  # sizes of the original per halving that are cached for comparisons


@dataclass(eq=False)
class Source:
    """The unedited original, with its brightness at reduced sizes cached for comparisons.

    Attributes:
        image: uint8 ``[h, w, 3]`` RGB, at the size at which the edits work.
    """

    image: Pixels
    _levels: dict[int, Gray8] = field(default_factory=dict, repr=False)

    def luma(self, level: int) -> Gray8:
        """Brightness at 2^(-level / 4) of the size, uint8."""
        if level not in self._levels:
            factor = 2.0 ** (-level / _LEVELS_PER_OCTAVE)
            height, width = (max(1, round(side * factor)) for side in self.image.shape[:2])
            self._levels[level] = scaled(self._gray(level >= _LEVELS_PER_OCTAVE), height, width)
        return self._levels[level]

    def _gray(self, halved: bool) -> Gray8:
        """Brightness at full or half size; most comparisons need only the latter."""
        key = -1 - int(halved)
        if key not in self._levels:
            height, width = self.image.shape[:2]
            base = (
                cv2.resize(self.image, (-(-width // 2), -(-height // 2))) if halved else self.image
            )
            self._levels[key] = np.asarray(cv2.cvtColor(base, cv2.COLOR_RGB2GRAY), np.uint8)
        return self._levels[key]


@dataclass(frozen=True, eq=False)
class View:
    """An edited image.

    Attributes:
        image: uint8 ``[H, W, 3]`` RGB.
        trace: map from its pixels to the original.
        source: the original.
        log: edits in order, one JSON-ready mapping each (``edit`` and its drawn parameters).
        foreign: images that overlays may draw from.
        target: final pixels of the side, where known; saves work on finer detail.
    """

    image: Pixels
    trace: Trace
    source: Source
    log: tuple[dict[str, Any], ...] = ()
    foreign: Any = None
    target: int | None = None

    @classmethod
    def original(
        cls,
        image: Pixels,
        *,
        foreign: Any = None,
        working: tuple[int, int] | None = None,
        target: int | None = None,
    ) -> View:
        """Create the unedited view of an image.

        Args:
            image: uint8 ``[H, W, 3]`` RGB.
            foreign: images that overlays may draw from
                (:class:`asl.edits.engine.foreign_images.Pool`).
            working: (height, width) at which edits are applied; the trace still leads to the pixels
                of ``image``.
            target: pixels of the side that the view will be resized to.

        Raises:
            AslError: not uint8 RGB, or smaller than two pixels a side.
        """
        if (
            not isinstance(image, np.ndarray)
            or image.dtype != np.uint8
            or image.ndim != 3
            or image.shape[2] != 3
        ):
            kind = (
                f"{image.dtype} {image.shape}"
                if isinstance(image, np.ndarray)
                else type(image).__name__
            )
            raise AslError(
                f"image: expected uint8 [H, W, 3] RGB, got {kind}; "
                "decode it with asl.data.images.decode_image"
            )
        if min(image.shape[:2]) < 2:
            raise AslError(
                f"image: expected at least 2 x 2 pixels, got {image.shape[1]} x {image.shape[0]}"
            )
        trace = Trace.identity((image.shape[0], image.shape[1]))
        if working is not None and working != trace.size:
            image = scaled(image, *working)
            trace = trace.resize(*working)
        return cls(image, trace, Source(image), foreign=foreign, target=target)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def source_size(self) -> tuple[int, int]:
        """Height and width of the original in pixels."""
        return self.trace.source

    @property
    def map(self) -> Points:
        """Original (x, y) of every pixel, float32 ``[H, W, 2]``, NaN where foreign."""
        return self.trace.dense()

    @cached_property
    def content(self) -> float:
        """Share of the original's area that is visible, 0..1."""
        return self.trace.content()

    @cached_property
    def cover(self) -> float:
        """Share of the view that shows the original, 0..1."""
        return self.trace.cover()

    @cached_property
    def fidelity(self) -> float:
        """Detail left where the original is visible, 0..1.

        Mean contrast-structure term of SSIM (Wang et al., IEEE TIP 2004, eq. 9 and 10) between the
        brightness of the view and of the original warped into it, at 80 pixels a side, without its
        sign: a negative shows as much as its original.
        """
        if not self.log:
            return 1.0
        view, reference, mask = self._compared()
        if not cv2.countNonZero(mask):
            return 0.0
        return float(np.clip(cv2.mean(structure(view, reference), mask=mask)[0], 0.0, 1.0))

    @property
    def amount(self) -> float:
        """Amount of the original in the view, 0..1: the target order of feature norms.

        content x fidelity x sqrt(cover): 1 for the unedited original, lowered by every edit, also
        by one that hides nothing but leaves the original fewer pixels of the view (padding, a
        screenshot, an overlay onto a scene).
        """
        return self.content * self.fidelity * math.sqrt(self.cover)

    def _compared(self) -> tuple[Gray, Gray, Mask]:
        """Reduce the view and the original warped into it; mask every other valid pixel."""
        height, width = self.size
        factor = min(1.0, _COMPARED_SIDE / max(height, width))
        small = (max(4, round(height * factor)), max(4, round(width * factor)))
        view = scaled(np.asarray(cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY), np.uint8), *small)
        trace = self.trace.resize(*small)
        luma = self.source.luma(_level(trace, self.source.image.shape[1]))
        scale = resize_matrix((luma.shape[0], luma.shape[1]), self.source_size)
        mask = trace.valid()
        if trace.matrix is not None:
            reference = warp_pixels(luma, scale @ trace.matrix, small, border=cv2.BORDER_REFLECT)
        else:
            positions = transform(scale, np.nan_to_num(trace.dense(), nan=-1.0))
            reference = cv2.remap(
                luma, positions, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
        # The two are resampled differently, by about a pixel of sharpness, which must not count as
        # lost detail.
        first, second = (
            cv2.GaussianBlur(side, (3, 3), 0).astype(np.float32) for side in (view, reference)
        )
        inner = np.ascontiguousarray(
            cv2.erode(mask, np.ones((9, 9), np.uint8), borderValue=1)[::2, ::2]
        )
        if not cv2.countNonZero(inner):
            inner = np.ascontiguousarray(mask[::2, ::2])
        return first, second, inner

    def replaced(self, image: Pixels, entry: dict[str, Any], *, trace: Trace | None = None) -> View:
        """Return the view after one more edit; without a trace the geometry stays.

        Args:
            image: new pixels, uint8 ``[H, W, 3]`` RGB.
            entry: for the log.
            trace: of the new pixels.
        """
        pixels, log = np.ascontiguousarray(image), (*self.log, entry)
        return View(pixels, trace or self.trace, self.source, log, self.foreign, self.target)

    def cropped(self, top: int, left: int, height: int, width: int, entry: dict[str, Any]) -> View:
        """Crop to a rectangle, in pixels."""
        pixels = self.image[top : top + height, left : left + width]
        return self.replaced(pixels, entry, trace=self.trace.crop(top, left, height, width))

    def resized(self, height: int, width: int, entry: dict[str, Any] | None = None) -> View:
        """Resize; without an entry for the log this is a change of resolution, not an edit."""
        if (height, width) == self.size:
            return self if entry is None else self.replaced(self.image, entry)
        pixels = scaled(self.image, height, width)
        log = self.log if entry is None else (*self.log, entry)
        return View(
            pixels, self.trace.resize(height, width), self.source, log, self.foreign, self.target
        )

    def rearranged(self, matrix: Matrix, move: Callable[[Any], Any], entry: dict[str, Any]) -> View:
        """Reorder the pixels (see :meth:`asl.edits.engine.trace.Trace.rearrange`)."""
        return self.replaced(move(self.image), entry, trace=self.trace.rearrange(matrix, move))

    def warped(
        self,
        matrix: Matrix,
        size: tuple[int, int],
        entry: dict[str, Any],
        *,
        border: int,
        value: Any = (0, 0, 0),
    ) -> View:
        """Warp by a homography; pixels from outside the old view are foreign.

        Args:
            matrix: new pixel -> old pixel.
            size: (height, width) of the new view.
            entry: for the log.
            border: OpenCV's border mode.
            value: RGB of a constant border.
        """
        pixels = warp_pixels(
            self.image, matrix, size, border=border, value=tuple(int(v) for v in value)
        )
        return self.replaced(pixels, entry, trace=self.trace.warp(matrix, size))

    def describe(self) -> dict[str, Any]:
        """Describe the edits, content, cover and fidelity, JSON-ready."""
        return {
            "edits": list(self.log),
            "content": self.content,
            "cover": self.cover,
            "fidelity": self.fidelity,
        }


def _level(trace: Trace, width: int) -> int:
    """Quarter octaves by which an original of ``width`` pixels matches a view's resolution."""
    if trace.matrix is not None:
        # The determinant of a homography's derivative is that of its matrix over the third power of
        # the depth.
        depth = float(trace.matrix[2] @ (trace.size[1] / 2, trace.size[0] / 2, 1.0))
        step = float(np.sqrt(abs(np.linalg.det(trace.matrix) / depth**3)))
    else:
        steps = np.abs(np.diff(trace.dense()[::4], axis=1)).sum(axis=-1)
        step = float(np.nanmedian(steps)) if np.isfinite(steps).any() else 1.0
    return int(
        np.clip(
            round(np.log2(max(step * width / trace.source[1], 1.0)) * _LEVELS_PER_OCTAVE),
            0,
            6 * _LEVELS_PER_OCTAVE,
        )
    )


def structure(first: Gray, second: Gray) -> Gray:
    """Compute the unsigned contrast-structure term of SSIM of two brightness pictures.

    Args:
        first: float32 ``[H, W]`` 0..255.
        second: float32 ``[H, W]``.

    Returns:
        float32 ``[ceil(H / 2), ceil(W / 2)]`` 0..1, of box windows around every other pixel of
        every other row.
    """

    def mean(picture: Gray) -> Gray:
        # Neighbouring windows are nearly equal: every other one, in both directions.
        return np.ascontiguousarray(
            cv2.blur(picture, (_SSIM_WINDOW, _SSIM_WINDOW), borderType=cv2.BORDER_REFLECT)[::2, ::2]
        )

    m1, m2 = mean(first), mean(second)
    # v1 + v2 = E[a^2 + b^2] - m1^2 - m2^2: one window sum for both.
    spread = mean(first * first + second * second) - m1 * m1 - m2 * m2
    shared = np.abs(mean(first * second) - m1 * m2)
    floor = np.float32((0.03 * 255) ** 2)
    return np.asarray((2 * shared + floor) / (np.maximum(spread, 0) + floor))
