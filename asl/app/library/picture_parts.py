"""Decode a picture into the parts that are kept: facts, thumbnail, input of the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asl.app.library.facts import Facts, read_facts
from asl.data.camera_raw import shown_picture
from asl.data.decode_budget import within_budget
from asl.data.endable_process import Parts
from asl.data.images import Pixels, decode_image, encode_image
from asl.features.cropping import network_input
from asl.matching.align.prepare import working_image
from asl.models import Preprocessing

THUMBNAIL_QUALITY = 95  # of the JPEG; pairs are compared on thumbnails


@dataclass(frozen=True)
class PictureParts:
    """Encoded bytes -> facts, thumbnail, input of the network; can be sent to other processes.

    Attributes:
        max_pixels: larger pictures are refused.
        thumbnail_side: longest side of the thumbnail.
        plan: of the network's input.
    """

    max_pixels: int
    thumbnail_side: int
    plan: Preprocessing

    def __call__(self, data: bytes) -> Parts:
        """Decode; returns the facts as JSON, the thumbnail as JPEG bytes, the input's pixels.

        Raises:
            ImageError: the bytes are no usable image.
        """
        facts, image = open_picture(data, self.max_pixels)
        side = self.thumbnail_side
        small = image if max(image.shape[:2]) <= side else working_image(image, side)
        thumbnail = np.frombuffer(encode_image(small, THUMBNAIL_QUALITY), np.uint8)
        return facts.to_json(), [thumbnail, network_input(image, self.plan)]

    def within_budget(self, data: bytes, *, isolate: bool) -> tuple[Facts, bytes, Pixels]:
        """Decode within a budget of time and memory (:mod:`asl.data.decode_budget`).

        Raises:
            ImageError: the bytes are no usable image, or too costly.
        """
        facts, (thumbnail, pixels) = within_budget(
            self, data, max_pixels=self.max_pixels, isolate=isolate
        )
        return Facts.from_json(facts), thumbnail.tobytes(), pixels


def open_picture(data: bytes, max_pixels: int) -> tuple[Facts, Pixels]:
    """Decode a picture, or the preview of a camera RAW, and read the facts of its file.

    Args:
        data: encoded bytes.
        max_pixels: larger pictures are refused.

    Raises:
        ImageError: the bytes are no usable image.
    """
    shown = shown_picture(data, max_pixels)
    image = decode_image(shown, max_pixels=max_pixels)
    return read_facts(data, image, shown), image
