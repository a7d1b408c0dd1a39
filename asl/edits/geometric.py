"""Projective edits: crop, resize, pad, rotate, flip, perspective, shear, translate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from asl.edits.engine.edit_base import Edit, Rng, check_range, draw, draw_log
from asl.edits.engine.trace import Matrix
from asl.edits.engine.view import View

_BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "reflect": cv2.BORDER_REFLECT_101,
    "replicate": cv2.BORDER_REPLICATE,
}
_MAX_PIXELS = 40_000_000  # a larger view is not resized


def random_colour(rng: Rng) -> tuple[int, int, int]:
    """Draw an RGB colour: black, white or gray half of the time, any colour otherwise."""
    if rng.random() < 0.5:
        level = int(rng.choice([0, 255, 128]))
        return level, level, level
    red, green, blue = rng.integers(0, 256, size=3).tolist()
    return red, green, blue


@dataclass
class Crop(Edit):
    """Crop to a random rectangle.

    Attributes:
        area: range of its share of the view, 0..1.
        aspect: range of the factor on the view's aspect ratio.
    """

    LIMITS: ClassVar = {"area": (0.001, 1), "aspect": (0.1, 10)}

    area: Sequence[float] = (0.3, 0.9)
    aspect: Sequence[float] = (0.75, 1.333)

    def __call__(self, view: View, rng: Rng) -> View:
        """Crop."""
        height, width = view.size
        area, aspect = draw(rng, self.area), draw_log(rng, self.aspect)
        new_height = int(np.clip(round(height * np.sqrt(area / aspect)), 2, height))
        new_width = int(np.clip(round(width * np.sqrt(area * aspect)), 2, width))
        top = int(rng.integers(0, height - new_height + 1))
        left = int(rng.integers(0, width - new_width + 1))
        entry = self.entry(
            top=top / height, left=left / width, height=new_height / height, width=new_width / width
        )
        return view.cropped(top, left, new_height, new_width, entry)


@dataclass
class Resize(Edit):
    """Resize: multiply both sides by ``scale``, drawn log-uniformly."""

    LIMITS: ClassVar = {"scale": (0.01, 4)}

    scale: Sequence[float] = (0.3, 1.0)

    def __call__(self, view: View, rng: Rng) -> View:
        """Resize."""
        scale = draw_log(rng, self.scale)
        height, width = (max(4, round(side * scale)) for side in view.size)
        if height * width > _MAX_PIXELS:
            return view
        return view.resized(height, width, self.entry(scale=scale))


@dataclass
class Settle(Edit):
    """Reduce to ``times`` the final resolution, so that the following edits are cheap.

    Not an edit in the log. Place it after the crops of a recipe; it does nothing where the final
    size is not known.
    """

    times: float = 1.25

    def __post_init__(self) -> None:
        check_range("times", (self.times, self.times), 1, 8)

    def __call__(self, view: View, rng: Rng) -> View:
        """Shrink."""
        height, width = view.size
        factor = self.times * (view.target or max(view.size)) / np.sqrt(height * width)
        if view.target is None or factor > 0.9:
            return view
        return view.resized(max(4, round(height * factor)), max(4, round(width * factor)))


@dataclass
class ChangeAspect(Edit):
    """Squeeze: multiply the aspect ratio by ``ratio`` or its inverse; the area is kept."""

    LIMITS: ClassVar = {"ratio": (1, 10)}

    ratio: Sequence[float] = (1.1, 2.0)

    def __call__(self, view: View, rng: Rng) -> View:
        """Squeeze."""
        ratio = draw_log(rng, self.ratio) ** (1 if rng.random() < 0.5 else -1)
        height, width = view.size
        size = max(4, round(height / np.sqrt(ratio))), max(4, round(width * np.sqrt(ratio)))
        return view.resized(*size, self.entry(ratio=float(ratio)))


@dataclass
class Pad(Edit):
    """Add a plain border: all sides, two opposite sides, or up to a square.

    Attributes:
        share: range of the border's width as a share of the side, drawn for each side.
    """

    LIMITS: ClassVar = {"share": (0, 3)}

    share: Sequence[float] = (0.05, 0.5)

    def __call__(self, view: View, rng: Rng) -> View:
        """Pad."""
        height, width = view.size
        if rng.random() < 0.25 and height != width:
            side = max(height, width)
            sides = [
                (side - height) // 2,
                (side - height + 1) // 2,
                (side - width) // 2,
                (side - width + 1) // 2,
            ]
        else:
            both = rng.random(2) < 0.7
            both[int(rng.integers(2))] = True
            sides = [
                round(draw(rng, self.share) * length) for length in (height, height, width, width)
            ]
            sides = [pixels * int(both[place // 2]) for place, pixels in enumerate(sides)]
        top, bottom, left, right = sides
        colour = random_colour(rng)
        pixels = cv2.copyMakeBorder(
            view.image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=colour
        )
        trace = view.trace.place(top, left, pixels.shape[0], pixels.shape[1])
        return view.replaced(pixels, self.entry(sides=sides, colour=list(colour)), trace=trace)


@dataclass
class RotateRight(Edit):
    """Rotate by 90, 180 or 270 degrees."""

    def __call__(self, view: View, rng: Rng) -> View:
        """Turn."""
        turns = int(rng.integers(1, 4))
        height, width = view.size
        matrices: dict[int, list[list[float]]] = {
            1: [[0, -1, width - 1], [1, 0, 0], [0, 0, 1]],
            2: [[-1, 0, width - 1], [0, -1, height - 1], [0, 0, 1]],
            3: [[0, 1, 0], [-1, 0, height - 1], [0, 0, 1]],
        }
        code = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}[
            turns
        ]
        matrix = np.array(matrices[turns], dtype=np.float64)
        return view.rearranged(
            matrix, lambda pixels: cv2.rotate(pixels, code), self.entry(degrees=90 * turns)
        )


@dataclass
class Flip(Edit):
    """Mirror left to right, or top to bottom with probability ``vertical``."""

    vertical: float = 0.0

    def __call__(self, view: View, rng: Rng) -> View:
        """Mirror."""
        height, width = view.size
        upside_down = bool(rng.random() < self.vertical)
        matrix = np.eye(3)
        if upside_down:
            matrix[1] = [0, -1, height - 1]
        else:
            matrix[0] = [-1, 0, width - 1]
        code = 0 if upside_down else 1
        return view.rearranged(
            matrix, lambda pixels: cv2.flip(pixels, code), self.entry(vertical=upside_down)
        )


@dataclass
class Rotate(Edit):
    """Rotate by any angle.

    Attributes:
        degrees: range of the angle.
        grow: enlarge the canvas to keep the corners; otherwise they are cut.
        border: fill of the new pixels: ``constant``, ``reflect`` or ``replicate``.
    """

    LIMITS: ClassVar = {"degrees": (-180, 180)}

    degrees: Sequence[float] = (-30, 30)
    grow: bool = True
    border: str = "constant"

    def __call__(self, view: View, rng: Rng) -> View:
        """Turn."""
        height, width = view.size
        degrees = draw(rng, self.degrees)
        cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        size = (height, width)
        if self.grow:
            size = (
                max(2, round(abs(cos) * height + abs(sin) * width)),
                max(2, round(abs(cos) * width + abs(sin) * height)),
            )
        matrix = _about_centres(np.array([[cos, -sin], [sin, cos]]), size, (height, width))
        colour = random_colour(rng)
        entry = self.entry(degrees=degrees, grow=self.grow)
        return view.warped(matrix, size, entry, border=_BORDERS[self.border], value=colour)


@dataclass
class Shear(Edit):
    """Shear along x by ``factor``, and along y by 0.3 times another draw."""

    LIMITS: ClassVar = {"factor": (-2, 2)}

    factor: Sequence[float] = (-0.3, 0.3)
    border: str = "constant"

    def __call__(self, view: View, rng: Rng) -> View:
        """Slant."""
        x, y = draw(rng, self.factor), draw(rng, self.factor) * 0.3
        matrix = _about_centres(np.array([[1.0, x], [y, 1.0]]), view.size, view.size)
        entry = self.entry(x=x, y=y)
        return view.warped(
            matrix, view.size, entry, border=_BORDERS[self.border], value=random_colour(rng)
        )


@dataclass
class Affine(Edit):
    """Rotate, shear, scale and translate about the centre, within the frame of the view.

    Attributes:
        degrees: range of the rotation.
        shear: range of the shear in degrees.
        scale: range of the scale, drawn log-uniformly.
        shift: range of the translation as a share of each side.
        border: fill of the new pixels: ``constant``, ``reflect`` or ``replicate``.
    """

    LIMITS: ClassVar = {
        "degrees": (-180, 180),
        "shear": (-60, 60),
        "scale": (0.1, 10),
        "shift": (-0.9, 0.9),
    }

    degrees: Sequence[float] = (-180, 180)
    shear: Sequence[float] = (-30, 30)
    scale: Sequence[float] = (0.7, 1.3)
    shift: Sequence[float] = (-0.1, 0.1)
    border: str = "constant"

    def __call__(self, view: View, rng: Rng) -> View:
        """Move."""
        degrees = draw(rng, self.degrees)
        shear = draw(rng, self.shear)
        scale = draw_log(rng, self.scale)
        shift = np.array(
            [draw(rng, self.shift) * view.size[1], draw(rng, self.shift) * view.size[0]]
        )
        cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        slant = np.array([[1.0, np.tan(np.deg2rad(shear))], [0.0, 1.0]])
        matrix = _about_centres(
            np.array([[cos, -sin], [sin, cos]]) @ slant / scale, view.size, view.size
        )
        matrix[:2, 2] -= matrix[:2, :2] @ shift
        entry = self.entry(
            degrees=degrees, shear=shear, scale=scale, shift=[round(float(v), 2) for v in shift]
        )
        return view.warped(
            matrix, view.size, entry, border=_BORDERS[self.border], value=random_colour(rng)
        )


@dataclass
class Perspective(Edit):
    """Tilt the picture: its corners move inward by up to ``strength`` of a side."""

    LIMITS: ClassVar = {"strength": (0, 0.45)}

    strength: Sequence[float] = (0.05, 0.25)
    border: str = "constant"

    def __call__(self, view: View, rng: Rng) -> View:
        """Tilt."""
        height, width = view.size
        strength = draw(rng, self.strength)
        inward = rng.uniform(0, strength, size=(4, 2))
        corner = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float64)
        moved = np.abs(corner - inward)
        scale = np.array([width - 1, height - 1])
        matrix = cv2.getPerspectiveTransform(
            (moved * scale).astype(np.float32), (corner * scale).astype(np.float32)
        )
        entry = self.entry(strength=strength)
        return view.warped(
            matrix, view.size, entry, border=_BORDERS[self.border], value=random_colour(rng)
        )


@dataclass
class Translate(Edit):
    """Translate the picture within its frame by up to ``share`` of a side."""

    LIMITS: ClassVar = {"share": (-0.9, 0.9)}

    share: Sequence[float] = (-0.2, 0.2)
    border: str = "reflect"

    def __call__(self, view: View, rng: Rng) -> View:
        """Move."""
        x, y = draw(rng, self.share), draw(rng, self.share)
        matrix = np.eye(3)
        matrix[:2, 2] = x * view.size[1], y * view.size[0]
        entry = self.entry(x=x, y=y)
        return view.warped(
            matrix, view.size, entry, border=_BORDERS[self.border], value=random_colour(rng)
        )


def _about_centres(linear: Matrix, new: tuple[int, int], old: tuple[int, int]) -> Matrix:
    """Extend a linear map (new -> old) so that it maps the new centre to the old centre."""
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    centre_new = np.array([(new[1] - 1) / 2, (new[0] - 1) / 2])
    centre_old = np.array([(old[1] - 1) / 2, (old[0] - 1) / 2])
    matrix[:2, 2] = centre_old - linear @ centre_new
    return matrix
