"""Edits that know what they leave: every view of an image carries the way back to it, exactly."""

from asl.edits.edit import Edit, Maybe, OneOf, Sequence, Shuffled, SomeOf
from asl.edits.view import View
from asl.edits.views import make_views, overlap

__all__ = ["Edit", "Maybe", "OneOf", "Sequence", "Shuffled", "SomeOf", "View", "make_views", "overlap"]
