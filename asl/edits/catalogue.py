"""Every edit by name, with the parameters that it comes with: for contact sheets and for tests."""

from __future__ import annotations

import importlib
import pkgutil

from asl import edits
from asl.edits.engine.edit_base import Edit, Maybe, OneOf, Sequence, Shuffled, SomeOf
from asl.edits.geometric import Settle
from asl.edits.photometric import Levels, Pixelwise

_COMBINATIONS = {Sequence, Shuffled, Maybe, OneOf, SomeOf, Levels, Pixelwise, Settle}


def every_edit() -> dict[str, Edit]:
    """Name of an edit -> one of it; of the Albumentations transforms a few that the recipes use."""
    for module in pkgutil.iter_modules(edits.__path__):
        importlib.import_module(f"{edits.__name__}.{module.name}")
    classes = [
        kind for kind in Edit.__subclasses__() if kind.__module__.startswith(f"{edits.__name__}.")
    ]
    made = [kind() for kind in classes if kind not in _COMBINATIONS]
    made += [Levels(kind) for kind in ("invert", "solarise", "posterise", "equalise", "swap")]
    made += [Pixelwise(name) for name in ("CLAHE", "Emboss", "ToSepia", "MedianBlur")]
    return {edit.name: edit for edit in sorted(made, key=lambda edit: edit.name)}
