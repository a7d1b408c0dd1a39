"""Edits that know what they leave: every view of an image carries the way back to it, exactly."""

from asl.edits.engine.edit_base import Edit, Maybe, OneOf, Sequence, Shuffled, SomeOf
from asl.edits.engine.make_views import make_views, overlap
from asl.edits.engine.view import View

__all__ = [
    "Edit",
    "Maybe",
    "OneOf",
    "Sequence",
    "Shuffled",
    "SomeOf",
    "View",
    "make_views",
    "overlap",
]
