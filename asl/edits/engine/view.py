"""A view: an edited image, the way back to its original, and what was done to it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from asl.edits.engine.trace import (
    Mask,
    Matrix,
    Points,
    Trace,
    resize_matrix,
    transform,
    warp_pixels,
)
from asl.types import AslError

Pixels = npt.NDArray[np.uint8]
Gray = npt.NDArray[np.float32]
Gray8 = npt.NDArray[np.uint8]
_LOOK = 80  # pixels of the longer side at which a view is compared with its original
_WINDOW = 7
_STEPS = 4  # sizes of the original per halving that are kept for comparisons


@dataclass(eq=False)
class Source:
    """The un-edited original, with its brightness at halved sizes kept for comparisons.

    Attributes:
        image: uint8 ``[h, w, 3]`` RGB, at the size at which the edits work.
    """

    image: Pixels
    _levels: dict[int, Gray8] = field(default_factory=dict, repr=False)

    def luma(self, level: int) -> Gray8:
        """uint8 brightness at 2^(-level / 4) of the size."""
        if level not in self._levels:
            factor = 2.0 ** (-level / _STEPS)
            height, width = (max(1, round(side * factor)) for side in self.image.shape[:2])
            self._levels[level] = scaled(self._gray(level >= _STEPS), height, width)
        return self._levels[level]

    def _gray(self, halved: bool) -> Gray8:
        """Brightness at the full or half size; most comparisons need no more than the latter."""
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
        trace: from its pixels back to the original.
        source: the original.
        log: what was done, first to last: one JSON-ready mapping per edit (``edit`` and its drawn
            parameters).
        foreign: images that overlays may draw from.
        target: pixels of the side that the view ends up with, where that is known; saves work on
            finer detail.
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
        """The un-edited view of an image.

        Args:
            image: uint8 ``[H, W, 3]`` RGB.
            foreign: images that overlays may draw from
                (:class:`asl.edits.engine.foreign_images.Pool`).
            working: (height, width) at which the edits work; the way back still leads to the pixels
                of ``image``.
            target: pixels of the side that the view is going to be resized to.

        Raises:
            AslError: not uint8 RGB, or smaller than two pixels a side.
        """
        if (
            not isinstance(image, np.ndarray)
            or image.dtype != np.uint8
            or image.ndim != 3
            or image.shape[2] != 3
        ):
            found = (
                f"{image.dtype} {image.shape}"
                if isinstance(image, np.ndarray)
                else type(image).__name__
            )
            raise AslError(
                f"image: expected uint8 [H, W, 3] RGB, got {found}; decode_image gives that"
            )
        if min(image.shape[:2]) < 2:
            raise AslError(
                f"image: {image.shape[1]} x {image.shape[0]} pixels leave nothing to edit; 2 x 2 at least"
            )
        trace = Trace.identity((image.shape[0], image.shape[1]))
        if working is not None and working != trace.size:
            image = scaled(image, *working)
            trace = trace.resize(*working)
        return cls(image, trace, Source(image), foreign=foreign, target=target)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def source_size(self) -> tuple[int, int]:
        """Height and width of the original."""
        return self.trace.source

    @property
    def map(self) -> Points:
        """float32 ``[H, W, 2]`` original (x, y) of every pixel, NaN where it shows something else."""
        return self.trace.dense()

    @cached_property
    def content(self) -> float:
        """Share of the original's area still visible, 0..1."""
        return self.trace.content()

    @cached_property
    def cover(self) -> float:
        """Share of the view that shows the original, 0..1."""
        return self.trace.cover()

    @cached_property
    def fidelity(self) -> float:
        """Detail left where the original is visible, 0..1, against the original warped into the view.

        Mean contrast-structure term of SSIM (Wang et al., IEEE TIP 2004, eq. 9 and 10) of the
        brightness at 80 pixels
        a side, without its sign: a negative shows as much as the picture it was made from.
        """
        if not self.log:
            return 1.0
        view, reference, mask = self._compared()
        if not cv2.countNonZero(mask):
            return 0.0
        return float(np.clip(cv2.mean(structure(view, reference), mask=mask)[0], 0.0, 1.0))

    @property
    def amount(self) -> float:
        """How much of the original a viewer is left with, 0..1; what feature norms are ordered by.

        content x fidelity x sqrt(cover): the un-edited original has 1 and every edit lowers it,
        also one that hides nothing but leaves the original fewer pixels of the view (padding, a
        screenshot, an overlay onto a scene).
        """
        return self.content * self.fidelity * math.sqrt(self.cover)

    def _compared(self) -> tuple[Gray, Gray, Mask]:
        height, width = self.size
        factor = min(1.0, _LOOK / max(height, width))
        small = (max(4, round(height * factor)), max(4, round(width * factor)))
        view = scaled(np.asarray(cv2.cvtColor(self.image, cv2.COLOR_RGB2GRAY), np.uint8), *small)
        trace = self.trace.resize(*small)
        luma = self.source.luma(_level(trace, self.source.image.shape[1]))
        scale = resize_matrix((luma.shape[0], luma.shape[1]), self.source_size)
        mask = trace.valid()
        if trace.matrix is not None:
            reference = warp_pixels(luma, scale @ trace.matrix, small, border=cv2.BORDER_REFLECT)
        else:
            where = transform(scale, np.nan_to_num(trace.dense(), nan=-1.0))
            reference = cv2.remap(
                luma, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
            )
        # Two ways of resampling differ by about a pixel of sharpness, which must not count as lost
        # detail.
        first, second = (
            cv2.GaussianBlur(side, (3, 3), 0).astype(np.float32) for side in (view, reference)
        )
        inner = np.ascontiguousarray(
            cv2.erode(mask, np.ones((9, 9), np.uint8), borderValue=1)[::2, ::2]
        )
        return (
            first,
            second,
            inner if cv2.countNonZero(inner) else np.ascontiguousarray(mask[::2, ::2]),
        )

    def replaced(self, image: Pixels, entry: dict[str, Any], *, trace: Trace | None = None) -> View:
        """The view after one more edit; without a trace the geometry stays."""
        pixels, log = np.ascontiguousarray(image), (*self.log, entry)
        return View(pixels, trace or self.trace, self.source, log, self.foreign, self.target)

    def cropped(self, top: int, left: int, height: int, width: int, entry: dict[str, Any]) -> View:
        """Keep a rectangle."""
        pixels = self.image[top : top + height, left : left + width]
        return self.replaced(pixels, entry, trace=self.trace.crop(top, left, height, width))

    def resized(self, height: int, width: int, entry: dict[str, Any] | None = None) -> View:
        """Another number of pixels; without an entry this is no edit but a change of resolution."""
        if (height, width) == self.size:
            return self if entry is None else self.replaced(self.image, entry)
        pixels = scaled(self.image, height, width)
        log = self.log if entry is None else (*self.log, entry)
        return View(
            pixels, self.trace.resize(height, width), self.source, log, self.foreign, self.target
        )

    def rearranged(self, matrix: Matrix, move: Callable[[Any], Any], entry: dict[str, Any]) -> View:
        """The same pixels in another order (see :meth:`Trace.rearrange`)."""
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
        """A projective move (``matrix``: new pixel -> old pixel); what comes in from outside is foreign."""
        pixels = warp_pixels(
            self.image, matrix, size, border=border, value=tuple(int(v) for v in value)
        )
        return self.replaced(pixels, entry, trace=self.trace.warp(matrix, size))

    def describe(self) -> dict[str, Any]:
        """What was done and what is left, JSON-ready."""
        return {
            "edits": list(self.log),
            "content": self.content,
            "cover": self.cover,
            "fidelity": self.fidelity,
        }


def scaled(image: Pixels, height: int, width: int) -> Pixels:
    """Another size, by averages where it shrinks much.

    OpenCV's own area averaging is several times slower except for exact halving, which does most of
    the work here.
    """
    down, across = image.shape[0] / height, image.shape[1] / width
    if min(down, across) > 1.75:
        double = scaled(image, 2 * height, 2 * width)
        return np.asarray(
            cv2.resize(double, (width, height), interpolation=cv2.INTER_AREA), np.uint8
        )
    if max(down, across) > 1.4:
        image = np.asarray(cv2.blur(image, (3, 3)), np.uint8)
    if (height, width) == image.shape[:2]:
        return image
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _level(trace: Trace, width: int) -> int:
    """By how many quarter octaves an original of ``width`` pixels is shrunk to have the resolution of a view."""
    if trace.matrix is not None:
        # The determinant of a homography's derivative is that of its matrix over the third power of
        # the depth.
        depth = float(trace.matrix[2] @ (trace.size[1] / 2, trace.size[0] / 2, 1.0))
        step = float(np.sqrt(abs(np.linalg.det(trace.matrix) / depth**3)))
    else:
        steps = np.abs(np.diff(trace.dense()[::4], axis=1)).sum(axis=-1)
        step = float(np.nanmedian(steps)) if np.isfinite(steps).any() else 1.0
    return int(
        np.clip(round(np.log2(max(step * width / trace.source[1], 1.0)) * _STEPS), 0, 6 * _STEPS)
    )


def structure(first: Gray, second: Gray) -> Gray:
    """The contrast-structure term of SSIM of two brightness pictures (0..255), without its sign: 0..1.

    Box windows around every other pixel of every other row: float32 ``[H, W]`` ->
    ``[ceil(H / 2), ceil(W / 2)]``.
    """

    def mean(picture: Gray) -> Gray:
        # Neighbouring windows say nearly the same: every other one, both ways.
        return np.ascontiguousarray(
            cv2.blur(picture, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT)[::2, ::2]
        )

    m1, m2 = mean(first), mean(second)
    # v1 + v2 = E[a^2 + b^2] - m1^2 - m2^2: one window sum for both.
    spread = mean(first * first + second * second) - m1 * m1 - m2 * m2
    shared = np.abs(mean(first * second) - m1 * m2)
    floor = np.float32((0.03 * 255) ** 2)
    return np.asarray((2 * shared + floor) / (np.maximum(spread, 0) + floor))
