"""Provenance of a result file: versions, configuration hash, command, device, time."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from asl.version import __version__

_LIBRARIES = (
    "torch",
    "timm",
    "lightning",
    "faiss-gpu",
    "faiss-cpu",
    "albumentations",
    "numpy",
    "pillow",
)


def provenance(
    config: Mapping[str, Any], *, command: str, seed: int | None = None
) -> dict[str, Any]:
    """Collect the facts that every result file records.

    Args:
        config: the resolved configuration, plain values.
        command: that ran, e.g. ``asl train loss=cosface``.
        seed: of the run; None if it has none.

    Returns:
        JSON-ready: ``command``, ``config_hash``, ``seed``, ``versions``, ``machine``, ``created``
        (UTC).
    """
    text = json.dumps(config, sort_keys=True, default=str)
    facts: dict[str, Any] = {
        "command": command,
        "config_hash": hashlib.sha256(text.encode()).hexdigest()[:16],
        "versions": {"asl": __version__, "python": platform.python_version(), **_versions()},
        "machine": f"{platform.system()} {platform.machine()}",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if seed is not None:
        facts["seed"] = seed
    torch = sys.modules.get("torch")
    if torch is not None:
        facts["device"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return facts


def _versions() -> dict[str, str]:
    versions = {}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions
