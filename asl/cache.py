"""``python -m asl.cache``: show and empty the cache that scans, detectors and the service share.

The options and their explanation are in :mod:`asl.console.schemas.cache_config`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asl.console.entry import EntryPoint
from asl.console.schemas.cache_config import CacheConfig
from asl.console.terminal_text import terminal_text
from asl.counts import counted


def run(config: CacheConfig) -> int:
    """Print the place and size of the cache; empty it where that was asked for."""
    from asl.app.library.content_cache import FILE, cache_limit
    from asl.storage import cache_folder

    limit, folder = cache_limit(), cache_folder()
    path = None if folder is None else folder / FILE
    state = {"path": None if path is None else str(path), "limit": limit}
    if path is not None:
        state |= _state(path, limit, empty=config.empty)
    if config.json:
        print(json.dumps(state, ensure_ascii=True))
        return 0
    for line in _lines(state):
        print(terminal_text(line))
    return 0


def _state(path: Path, limit: int, *, empty: bool) -> dict[str, Any]:
    """Return what is in the cache, or was before it was emptied."""
    from asl.app.library.content_cache import CacheFacts, ContentCache, delete_cache
    from asl.models.network_graph import cached_graphs
    from asl.storage import ReadError

    networks = cached_graphs()
    facts, done = CacheFacts(0, 0, 0), "emptied" if empty else ""
    if path.exists():
        try:
            with closing(ContentCache(path, limit=limit, replace=False)) as cache:
                facts = cache.facts()
                if empty:
                    cache.empty()
        except ReadError as error:
            if not empty or isinstance(error.__cause__, sqlite3.OperationalError):
                raise
            delete_cache(path)
            done = "was damaged, deleted"
    for network in networks if empty else []:
        network.unlink(missing_ok=True)
    return {**asdict(facts), "networks": len(networks), "done": done}


def _lines(state: dict[str, Any]) -> Iterator[str]:
    from asl.app.library.content_cache import LIMIT_VARIABLE
    from asl.storage import FOLDER_VARIABLE

    if state["path"] is None:
        yield f"the cache is off ({FOLDER_VARIABLE}=off)"
        return
    size, limit = state["bytes"] / 1e6, state["limit"] / 1e6
    contents = f"{counted(state['pictures'], 'picture')}, {size:,.1f} MB of at most {limit:,.0f}"
    if networks := state["networks"]:
        contents += f"; {counted(networks, 'network')} of your models"
    yield f"{state['path']}: {contents}{'; ' * bool(state['done'])}{state['done']}"
    yield f"  another folder, or off: {FOLDER_VARIABLE}; its limit: {LIMIT_VARIABLE}"


main = EntryPoint("cache", run)

if __name__ == "__main__":
    main()
