"""Files that scans remember images in: one a model, beside each other."""

from __future__ import annotations

from pathlib import Path

from asl.console.schemas.scan_config import ScanConfig
from asl.model_names import packaged_hashes


def cache_of(options: ScanConfig) -> Path:
    """Return the file that a scan was asked to remember images in."""
    return options.cache or options.output / "cache.sqlite"


def cache_path(cache: Path, model: str) -> Path:
    """Return the file of a model, so that another model never meets foreign features.

    Args:
        cache: file as it was asked for, without the name of a model.
        model: hash of the model.

    >>> cache_path(Path("asl-scan/cache.sqlite"), "0123456789abcdef").as_posix()
    'asl-scan/cache-01234567.sqlite'
    """
    return cache.with_name(f"{cache.stem}-{model[:8]}{cache.suffix}")


def note_on_other_caches(options: ScanConfig) -> str:
    """Say that earlier scans used another packaged model, where this one starts anew.

    Returns:
        A sentence; empty where there is nothing to say.
    """
    hashes, model = packaged_hashes(), options.model
    cache = cache_of(options)
    if model not in hashes or cache_path(cache, hashes[model]).exists():
        return ""
    found = {name: path for name in hashes if (path := cache_path(cache, hashes[name])).is_file()}
    if not found:
        return ""
    name, path = next(iter(found.items()))
    return (
        f"note: {path} was made with {name}, and every picture is embedded again with {model}; "
        f"model={name} goes on with it, else delete it"
    )
