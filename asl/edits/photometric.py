"""Edits of colour and tone, and :class:`Pixelwise` for Albumentations that move no pixels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import cv2
import numpy as np
import numpy.typing as npt

from asl.edits.engine.edit_base import Edit, Rng, draw, draw_log
from asl.edits.engine.view import View
from asl.types import U8, AslError

_LUMA = np.array([0.299, 0.587, 0.114])  # weights of R, G, B in the brightness
LEVEL_KINDS = ("invert", "solarise", "posterise", "equalise", "swap")


@dataclass
class Pixelwise(Edit):
    """Apply an Albumentations transform that moves no pixels.

    Attributes:
        transform: name of its class, e.g. ``ColorJitter``.
        parameters: its arguments.
        label: name of the edit in logs; the transform's own unless given.
    """

    transform: str
    parameters: dict[str, Any] = field(default_factory=dict)
    label: str = ""

    def __post_init__(self) -> None:
        # Without this, its import checks for updates over the network.
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
        import albumentations

        kind = getattr(albumentations, self.transform, None)
        if kind is None or not (
            isinstance(kind, type) and issubclass(kind, albumentations.ImageOnlyTransform)
        ):
            raise AslError(
                f"transform: expected the name of an Albumentations transform that moves no "
                f"pixels, got {self.transform!r}"
            )
        parameters = {
            name: tuple(value)
            if isinstance(value, Sequence) and not isinstance(value, str)
            else value
            for name, value in self.parameters.items()
        }
        with warnings.catch_warnings():
            # Albumentations only warns about unknown arguments; here they are errors.
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
        """Apply the transform with a seed from ``rng``."""
        seed = int(rng.integers(2**31))
        self._transform.set_random_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = self._transform(image=view.image)["image"]
        return view.replaced(
            np.asarray(pixels, np.uint8),
            {**self.entry(), "transform": self.transform, "seed": seed},
        )


@dataclass
class ColourJitter(Edit):
    """Jitter brightness, contrast, hue and saturation, in this order.

    Factors are those of torchvision's ``ColorJitter``, which also randomises the order.

    Attributes:
        brightness: maximum deviation of the factor from 1.
        contrast: the same, about the mean after the change of brightness.
        saturation: the same.
        hue: maximum shift as a share of the colour circle.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1

    def __call__(self, view: View, rng: Rng) -> View:
        """Jitter, by two table look-ups and one mix instead of four floating-point passes."""
        drawn = {
            "brightness": draw(rng, (1 - self.brightness, 1 + self.brightness)),
            "contrast": draw(rng, (1 - self.contrast, 1 + self.contrast)),
            "saturation": draw(rng, (max(0.0, 1 - self.saturation), 1 + self.saturation)),
            "hue": draw(rng, (-self.hue, self.hue)),
        }
        pixels = view.image
        levels = np.clip(np.arange(256) * drawn["brightness"], 0, 255)
        middle = float(levels[pixels[::4, ::4]].mean(axis=(0, 1)) @ _LUMA)
        pixels = cv2.LUT(pixels, _table((levels - middle) * drawn["contrast"] + middle))
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
class Contrast(Edit):
    """Multiply the distance from the mean brightness by ``factor``, drawn log-uniformly."""

    LIMITS: ClassVar = {"factor": (0.02, 10)}

    factor: Sequence[float] = (0.3, 2.0)

    def __call__(self, view: View, rng: Rng) -> View:
        """Stretch or squeeze."""
        factor = draw_log(rng, self.factor)
        middle = float(view.image[::4, ::4].mean())
        return view.replaced(
            cv2.LUT(view.image, _table((np.arange(256) - middle) * factor + middle)),
            self.entry(factor=factor),
        )


@dataclass
class Grayscale(Edit):
    """Remove the colour."""

    def __call__(self, view: View, rng: Rng) -> View:
        """Take the colour away."""
        gray = cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY)
        return view.replaced(cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB), self.entry())


@dataclass
class ToneCurve(Edit):
    """Apply a random smooth tone curve.

    Attributes:
        strength: range of the maximum deviation, as a share of 255.
        split: probability of a separate curve for each channel.
    """

    LIMITS: ClassVar = {"strength": (0, 1)}

    strength: Sequence[float] = (0.05, 0.3)
    split: float = 0.3

    def __call__(self, view: View, rng: Rng) -> View:
        """Bend the curve."""
        strength, split = draw(rng, self.strength), bool(rng.random() < self.split)
        knots = np.linspace(0, 255, 5)
        tables = []
        for _ in range(3 if split else 1):
            bent = np.clip(knots + rng.uniform(-strength, strength, 5) * 255, 0, 255)
            tables.append(_table(np.interp(np.arange(256), knots, np.maximum.accumulate(bent))))
        table = np.stack(tables if split else tables * 3, axis=-1)
        return view.replaced(
            cv2.LUT(view.image, table[None]), self.entry(strength=strength, split=split)
        )


@dataclass
class Levels(Edit):
    """Apply a coarse change of tone.

    Attributes:
        kind: ``invert``, ``solarise``, ``posterise``, ``equalise``, or ``swap`` of channels.
    """

    kind: str = "posterise"

    def __post_init__(self) -> None:
        if self.kind not in LEVEL_KINDS:
            raise AslError(f"kind: expected one of {', '.join(LEVEL_KINDS)}, got {self.kind!r}")

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


def _table(levels: npt.NDArray[np.floating[Any]]) -> U8:
    """Round 256 output levels to uint8."""
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.uint8)
