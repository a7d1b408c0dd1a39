"""Edits that change detail: blur, noise, pixelation, recompression, sharpening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import cv2
import numpy as np

from asl.edits.engine.edit_base import Edit, Rng, draw
from asl.edits.engine.view import Pixels, View
from asl.types import F32, AslError


@dataclass
class GaussianBlur(Edit):
    """Blur with a standard deviation of ``sigma`` percent of the longer side."""

    LIMITS: ClassVar = {"sigma": (0, 20)}

    sigma: Sequence[float] = (0.3, 1.5)

    def __call__(self, view: View, rng: Rng) -> View:
        """Blur."""
        sigma = draw(rng, self.sigma)
        pixels = max(0.3, sigma / 100 * max(view.size))
        return view.replaced(cv2.GaussianBlur(view.image, (0, 0), pixels), self.entry(sigma=sigma))


@dataclass
class MotionBlur(Edit):
    """Blur along a line of ``length`` percent of the longer side, in any direction."""

    LIMITS: ClassVar = {"length": (0, 40)}

    length: Sequence[float] = (2, 6)

    def __call__(self, view: View, rng: Rng) -> View:
        """Blur."""
        length, degrees = draw(rng, self.length), draw(rng, (0, 180))
        side = max(3, round(length / 100 * max(view.size)) | 1)
        kernel = np.zeros((side, side), np.float32)
        middle = (side - 1) / 2
        step = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))]) * middle
        ends = [tuple(int(v) for v in np.rint(middle + sign * step)) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0)
        pixels = cv2.filter2D(
            view.image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101
        )
        return view.replaced(pixels, self.entry(length=length, degrees=degrees))


@dataclass
class DefocusBlur(Edit):
    """Blur with a disc of ``radius`` percent of the longer side (out of focus)."""

    LIMITS: ClassVar = {"radius": (0, 20)}

    radius: Sequence[float] = (0.5, 2.5)

    def __call__(self, view: View, rng: Rng) -> View:
        """Blur."""
        radius = draw(rng, self.radius)
        pixels = max(1, round(radius / 100 * max(view.size)))
        disc = cv2.getStructuringElement(
            cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1)
        ).astype(np.float32)
        blurred = cv2.filter2D(view.image, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT_101)
        return view.replaced(blurred, self.entry(radius=radius))


@dataclass
class Morphology(Edit):
    """Dilate or erode bright areas by ``radius`` percent of the longer side."""

    LIMITS: ClassVar = {"radius": (0, 10)}

    radius: Sequence[float] = (0.2, 0.8)

    def __call__(self, view: View, rng: Rng) -> View:
        """Grow or shrink."""
        radius, grow = draw(rng, self.radius), bool(rng.random() < 0.5)
        side = 2 * max(1, round(radius / 100 * max(view.size))) + 1
        element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        pixels = cv2.dilate(view.image, element) if grow else cv2.erode(view.image, element)
        return view.replaced(pixels, self.entry(radius=radius, grow=grow))


@dataclass
class Noise(Edit):
    """Add Gaussian noise with a standard deviation of ``sigma`` grey levels, coloured or gray."""

    LIMITS: ClassVar = {"sigma": (0, 128)}

    sigma: Sequence[float] = (4, 30)

    def __call__(self, view: View, rng: Rng) -> View:
        """Add noise."""
        sigma, coloured = draw(rng, self.sigma), bool(rng.random() < 0.5)
        noise = _grain(rng, view.size, coloured) * np.float32(sigma)
        pixels = cv2.add(view.image, noise, dtype=cv2.CV_8U)
        return view.replaced(pixels, self.entry(sigma=sigma, coloured=coloured))


@lru_cache(maxsize=1)
def _noise_bank() -> F32:
    """Create the fixed bank of unit Gaussian noise, ``[640, 640, 3]``."""
    return np.random.default_rng(0).standard_normal((640, 640, 3), dtype=np.float32)


def _grain(rng: Rng, size: tuple[int, int], coloured: bool) -> F32:
    """Unit Gaussian noise ``[H, W, 3]``: a random window of a fixed bank, wrapped round.

    Millions of new draws per view would be far slower.
    """
    bank, offset = _noise_bank(), rng.integers(0, 640, size=2)
    rows, columns = (
        (np.arange(length) + start) % 640 for length, start in zip(size, offset, strict=True)
    )
    window = bank[rows][:, columns]
    return window if coloured else np.ascontiguousarray(np.repeat(window[..., :1], 3, axis=2))


@dataclass
class Pixelise(Edit):
    """Pixelise.

    Attributes:
        squares: range of the number of squares along the longer side.
        smooth: probability of linear interpolation instead of squares.
    """

    LIMITS: ClassVar = {"squares": (4, 2000)}

    squares: Sequence[float] = (24, 80)
    smooth: float = 0.3

    def __call__(self, view: View, rng: Rng) -> View:
        """Pixelise."""
        squares = draw(rng, self.squares)
        factor = min(1.0, squares / max(view.size))
        small = max(2, round(view.size[1] * factor)), max(2, round(view.size[0] * factor))
        method = cv2.INTER_LINEAR if rng.random() < self.smooth else cv2.INTER_NEAREST
        pixels = cv2.resize(
            cv2.resize(view.image, small, interpolation=cv2.INTER_AREA),
            view.size[::-1],
            interpolation=method,
        )
        return view.replaced(pixels, self.entry(squares=squares))


@dataclass
class Recompress(Edit):
    """Encode and decode with JPEG or WebP.

    Attributes:
        quality: range of the encoder's quality, 1..100.
        times: range of the number of rounds.
        webp: probability of WebP in each round.
    """

    LIMITS: ClassVar = {"quality": (1, 100)}

    quality: Sequence[float] = (10, 60)
    times: Sequence[int] = (1, 2)
    webp: float = 0.2

    def __call__(self, view: View, rng: Rng) -> View:
        """Encode and decode."""
        pixels, chain = np.ascontiguousarray(view.image[..., ::-1]), []
        for _ in range(int(rng.integers(self.times[0], self.times[1] + 1))):
            quality, webp = round(draw(rng, self.quality)), bool(rng.random() < self.webp)
            flag = cv2.IMWRITE_WEBP_QUALITY if webp else cv2.IMWRITE_JPEG_QUALITY
            encodable, encoded = cv2.imencode(".webp" if webp else ".jpg", pixels, [flag, quality])
            if not encodable:
                raise AslError(
                    f"recompress: {'WebP' if webp else 'JPEG'} cannot encode "
                    f"{pixels.shape[1]} x {pixels.shape[0]} pixels; resize the view first"
                )
            pixels = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
            chain.append(["webp" if webp else "jpeg", quality])
        return view.replaced(_rgb(pixels), self.entry(chain=chain))


def _rgb(bgr: Pixels) -> Pixels:
    return np.ascontiguousarray(bgr[..., ::-1])


@dataclass
class Sharpen(Edit):
    """Sharpen by an unsharp mask.

    Attributes:
        amount: range of its strength.
        edges: probability of showing the edges alone (a drawing).
    """

    LIMITS: ClassVar = {"amount": (0, 10)}

    amount: Sequence[float] = (0.5, 3.0)
    edges: float = 0.0

    def __call__(self, view: View, rng: Rng) -> View:
        """Sharpen."""
        amount = draw(rng, self.amount)
        blurred = cv2.GaussianBlur(view.image, (0, 0), max(0.6, 0.006 * max(view.size)))
        if rng.random() < self.edges:
            difference = cv2.absdiff(view.image, blurred)
            pixels = 255 - cv2.convertScaleAbs(difference, alpha=2 + 2 * amount)
            return view.replaced(pixels, self.entry(amount=amount, edges=True))
        return view.replaced(
            cv2.addWeighted(view.image, 1 + amount, blurred, -amount, 0), self.entry(amount=amount)
        )
