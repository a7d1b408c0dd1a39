"""Catalogue of all edits by name, with default parameters: for contact sheets and tests.

Add an edit as a dataclass in the module of its family (``geometric``, ``photometric``, ``detail``,
``filters``, ``local_warps``, ``composite``, ``drawing``): a subclass of
:class:`asl.edits.engine.edit_base.Edit` whose ``__call__`` returns a new view with its trace. It is
listed here without further registration; recipes in ``conf/edits`` name it by ``_target_``.
"""

from __future__ import annotations

import importlib
import pkgutil

from asl import edits
from asl.edits.engine.edit_base import Edit, Maybe, OneOf, Sequence, Shuffled, SomeOf
from asl.edits.geometric import Settle
from asl.edits.photometric import LEVEL_KINDS, Levels, Pixelwise

_COMBINATIONS = {Sequence, Shuffled, Maybe, OneOf, SomeOf, Levels, Pixelwise, Settle}
_PIXELWISE_EXAMPLES = ("CLAHE", "Emboss", "ToSepia", "MedianBlur")


def every_edit() -> dict[str, Edit]:
    """Create every edit with its default parameters.

    Returns:
        Name -> edit, sorted by name; combinations are omitted, and of the Albumentations transforms
        a few that the recipes use are included.
    """
    for module in pkgutil.iter_modules(edits.__path__):
        importlib.import_module(f"{edits.__name__}.{module.name}")
    classes = [
        kind for kind in Edit.__subclasses__() if kind.__module__.startswith(f"{edits.__name__}.")
    ]
    edits_with_defaults = [kind() for kind in classes if kind not in _COMBINATIONS]
    edits_with_defaults += [Levels(kind) for kind in LEVEL_KINDS]
    edits_with_defaults += [Pixelwise(name) for name in _PIXELWISE_EXAMPLES]
    return {edit.name: edit for edit in sorted(edits_with_defaults, key=lambda edit: edit.name)}
