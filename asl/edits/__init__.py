"""Image edits that track geometry: every view knows the original position of its pixels."""

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
