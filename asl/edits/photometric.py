"""Edits of pixel values: colour, tone, blur, noise, codecs. The pixels are Albumentations' and the codecs OpenCV's."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from asl.edits.edit import Edit, Rng, check_range, draw
from asl.edits.view import Pixels, View
from asl.types import AslError


@dataclass
class Pixelwise(Edit):
    """Any Albumentations transform that leaves every pixel where it is.

    Attributes:
        transform: name of its class, e.g. ``ColorJitter``.
        parameters: its arguments.
        label: name of the edit in logs; the transform's own unless given.
    """

    transform: str
    parameters: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        # Without this its import asks a registry for news.
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
        import albumentations

        kind = getattr(albumentations, self.transform, None)
        if kind is None or not (isinstance(kind, type) and issubclass(kind, albumentations.ImageOnlyTransform)):
            raise AslError(f"transform: {self.transform!r} is no Albumentations transform that keeps pixels in place")
        parameters = {
            name: tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
            for name, value in self.parameters.items()
        }
        with warnings.catch_warnings():
            # An argument that the transform does not know is only warned about; here it must not pass.
            warnings.simplefilter("error")
            try:
                self._transform = kind(**parameters, p=1.0)
            except (ValueError, TypeError, UserWarning) as error:
                raise AslError(f"{self.transform}: {error}") from error

    @property
    def name(self) -> str:
        """The label, or the transform's name."""
        return self.label or self.transform

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply it with a seed from ``rng``."""
        seed = int(rng.integers(2**31))
        self._transform.set_random_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = self._transform(image=view.image)["image"]
        return view.replaced(np.asarray(pixels, np.uint8), {**self.entry(), "transform": self.transform, "seed": seed})


@dataclass
class ColourJitter(Edit):
    """Brightness, contrast and saturation by factors, hue by a share of the circle, in random order."""

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1

    def __call__(self, view: View, rng: Rng) -> View:
        """Jitter; three table look-ups and one mix instead of four passes in floating point."""
        drawn = {
            "brightness": draw(rng, (1 - self.brightness, 1 + self.brightness)),
            "contrast": draw(rng, (1 - self.contrast, 1 + self.contrast)),
            "saturation": draw(rng, (max(0.0, 1 - self.saturation), 1 + self.saturation)),
            "hue": draw(rng, (-self.hue, self.hue)),
        }
        pixels = view.image
        middle = float(pixels[::4, ::4].mean())
        levels = np.arange(256) * drawn["brightness"]
        levels = (levels - middle) * drawn["contrast"] + middle
        pixels = cv2.LUT(pixels, np.clip(levels, 0, 255).astype(np.uint8))
        if self.hue:
            hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
            turned = (np.arange(256) + round(drawn["hue"] * 180)) % 180
            hsv[..., 0] = cv2.LUT(hsv[..., 0], turned.astype(np.uint8))
            pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        if self.saturation:
            gray = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
            pixels = cv2.addWeighted(pixels, drawn["saturation"], gray, 1 - drawn["saturation"], 0)
        return view.replaced(pixels, self.entry(**drawn))


@dataclass
class Grayscale(Edit):
    """Brightness only."""

    def __call__(self, view: View, rng: Rng) -> View:
        """Take the colour away."""
        gray = cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY)
        return view.replaced(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB), self.entry())


@dataclass
class ToneCurve(Edit):
    """A random smooth curve over the brightness levels, one for all channels or (``split``) one for each."""

    strength: Sequence[float] = (0.05, 0.3)
    split: float = 0.3

    def __post_init__(self) -> None:
        check_range("strength", self.strength, 0, 1)

    def __call__(self, view: View, rng: Rng) -> View:
        """Bend the curve."""
        strength, split = draw(rng, self.strength), bool(rng.random() < self.split)
        knots = np.linspace(0, 255, 5)
        tables = []
        for _ in range(3 if split else 1):
            bent = np.clip(knots + rng.uniform(-strength, strength, 5) * 255, 0, 255)
            tables.append(np.interp(np.arange(256), knots, np.maximum.accumulate(bent)).astype(np.uint8))
        table = np.stack(tables if split else tables * 3, axis=-1)
        return view.replaced(cv2.LUT(view.image, table[None]), self.entry(strength=strength, split=split))


@dataclass
class GaussianBlur(Edit):
    """Blur with a standard deviation of ``sigma`` percent of the longer side."""

    sigma: Sequence[float] = (0.3, 1.5)

    def __post_init__(self) -> None:
        check_range("sigma", self.sigma, 0, 20)

    def __call__(self, view: View, rng: Rng) -> View:
        """Blur."""
        sigma = draw(rng, self.sigma)
        pixels = max(0.3, sigma / 100 * max(view.size))
        return view.replaced(cv2.GaussianBlur(view.image, (0, 0), pixels), self.entry(sigma=sigma))


@dataclass
class MotionBlur(Edit):
    """Blur along a line of ``length`` percent of the longer side, in any direction."""

    length: Sequence[float] = (2, 6)

    def __post_init__(self) -> None:
        check_range("length", self.length, 0, 40)

    def __call__(self, view: View, rng: Rng) -> View:
        """Blur."""
        length, degrees = draw(rng, self.length), draw(rng, (0, 180))
        side = max(3, round(length / 100 * max(view.size)) | 1)
        kernel = np.zeros((side, side), np.float32)
        middle = (side - 1) / 2
        step = np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))]) * middle
        ends = [tuple(int(v) for v in np.rint(middle + sign * step)) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0)
        pixels = cv2.filter2D(view.image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101)
        return view.replaced(pixels, self.entry(length=length, degrees=degrees))


@dataclass
class Noise(Edit):
    """Gaussian noise with a standard deviation of ``sigma`` grey levels, coloured or gray."""

    sigma: Sequence[float] = (4, 30)

    def __post_init__(self) -> None:
        check_range("sigma", self.sigma, 0, 128)

    def __call__(self, view: View, rng: Rng) -> View:
        """Add noise."""
        sigma, coloured = draw(rng, self.sigma), bool(rng.random() < 0.5)
        shape = (*view.size, 3 if coloured else 1)
        noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(sigma)
        pixels = np.clip(view.image + noise, 0, 255).astype(np.uint8)
        return view.replaced(pixels, self.entry(sigma=sigma, coloured=coloured))


@dataclass
class Pixelise(Edit):
    """Squares of one colour: the longer side has ``squares`` of them; smooth instead with probability ``smooth``."""

    squares: Sequence[float] = (24, 80)
    smooth: float = 0.3

    def __post_init__(self) -> None:
        check_range("squares", self.squares, 4, 2000)

    def __call__(self, view: View, rng: Rng) -> View:
        """Pixelise."""
        squares = draw(rng, self.squares)
        factor = min(1.0, squares / max(view.size))
        small = max(2, round(view.size[1] * factor)), max(2, round(view.size[0] * factor))
        method = cv2.INTER_LINEAR if rng.random() < self.smooth else cv2.INTER_NEAREST
        pixels = cv2.resize(
            cv2.resize(view.image, small, interpolation=cv2.INTER_AREA), view.size[::-1], interpolation=method
        )
        return view.replaced(pixels, self.entry(squares=squares))


@dataclass
class Recompress(Edit):
    """Encode and decode ``times`` times with JPEG or WebP at a drawn quality."""

    quality: Sequence[float] = (10, 60)
    times: Sequence[int] = (1, 2)
    webp: float = 0.2

    def __post_init__(self) -> None:
        check_range("quality", self.quality, 1, 100)

    def __call__(self, view: View, rng: Rng) -> View:
        """Encode and decode."""
        pixels, chain = np.ascontiguousarray(view.image[..., ::-1]), []
        for _ in range(int(rng.integers(self.times[0], self.times[1] + 1))):
            quality, webp = round(draw(rng, self.quality)), bool(rng.random() < self.webp)
            flag = cv2.IMWRITE_WEBP_QUALITY if webp else cv2.IMWRITE_JPEG_QUALITY
            fine, encoded = cv2.imencode(".webp" if webp else ".jpg", pixels, [flag, quality])
            if not fine:
                raise AslError(f"recompress: the codec refused {pixels.shape[1]} x {pixels.shape[0]} pixels")
            pixels = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)
            chain.append(["webp" if webp else "jpeg", quality])
        return view.replaced(_rgb(pixels), self.entry(chain=chain))


def _rgb(bgr: Pixels) -> Pixels:
    return np.ascontiguousarray(bgr[..., ::-1])


@dataclass
class Sharpen(Edit):
    """Unsharp mask of strength ``amount``; edges alone (a drawing) with probability ``edges``."""

    amount: Sequence[float] = (0.5, 3.0)
    edges: float = 0.0

    def __post_init__(self) -> None:
        check_range("amount", self.amount, 0, 10)

    def __call__(self, view: View, rng: Rng) -> View:
        """Sharpen."""
        amount = draw(rng, self.amount)
        blurred = cv2.GaussianBlur(view.image, (0, 0), max(0.6, 0.006 * max(view.size)))
        if rng.random() < self.edges:
            difference = cv2.absdiff(view.image, blurred)
            pixels = 255 - cv2.convertScaleAbs(difference, alpha=2 + 2 * amount)
            return view.replaced(pixels, self.entry(amount=amount, edges=True))
        return view.replaced(cv2.addWeighted(view.image, 1 + amount, blurred, -amount, 0), self.entry(amount=amount))


@dataclass
class Levels(Edit):
    """One of the rough tone changes: ``invert``, ``solarise``, ``posterise``, ``equalise``, ``swap`` of channels."""

    kind: str = "posterise"

    def __post_init__(self) -> None:
        if self.kind not in ("invert", "solarise", "posterise", "equalise", "swap"):
            raise AslError(f"kind: expected invert, solarise, posterise, equalise or swap, got {self.kind!r}")

    @property
    def name(self) -> str:
        """The kind."""
        return self.kind

    def __call__(self, view: View, rng: Rng) -> View:
        """Apply it."""
        level = np.arange(256)
        if self.kind == "swap":
            order = [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][int(rng.integers(5))]
            return view.replaced(view.image[..., order], self.entry(order=order))
        if self.kind == "equalise":
            ycc = cv2.cvtColor(view.image, cv2.COLOR_RGB2YCrCb)
            ycc[..., 0] = cv2.equalizeHist(ycc[..., 0])
            return view.replaced(cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB), self.entry())
        if self.kind == "invert":
            table, drawn = 255 - level, 0
        elif self.kind == "solarise":
            drawn = int(rng.integers(96, 192))
            table = np.where(level < drawn, level, 255 - level)
        else:
            drawn = int(rng.integers(2, 5))
            table = level >> (8 - drawn) << (8 - drawn)
        return view.replaced(cv2.LUT(view.image, table.astype(np.uint8)), self.entry(level=drawn))
