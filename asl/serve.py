"""``python -m asl.serve``: a copy detector as a service on this machine.

The options and their explanation are in :mod:`asl.console.schemas.serve_config`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from asl.app.service.listening import (
    address,
    bound,
    check_exposure,
    exit_on_signals,
    listen,
    read_token,
)
from asl.console.entry import EntryPoint
from asl.console.schemas.serve_config import ServeConfig
from asl.console.terminal_text import terminal_text
from asl.counts import counted
from asl.errors import AslError, UsageError
from asl.shared_defaults import MODEL

if TYPE_CHECKING:
    from asl.app.detector import CopyDetector
    from asl.app.library.records import Source

_CONNECTIONS = 512  # a new one has time to speak before it is the oldest


def run(options: ServeConfig) -> int:
    """Check the arguments, open the library, listen."""
    token = read_token(options.token_file)
    check_exposure(options.host, token)
    for key in ("max_megabytes", "max_megapixels", "max_uploads", "workers"):
        value = getattr(options, key)
        if value <= 0:
            raise UsageError(f"--{key.replace('_', '-')} must be above 0, got {value:g}")
    try:
        from asl.app.library.sources import by_content
        from asl.app.service.guard import ServiceOptions
        from asl.app.service.routes import create_app
    except ImportError as error:
        raise AslError(
            f"`pip install asl-icd[serve]` gives what the service needs ({error})"
        ) from error

    photos = None if options.add is None else by_content(options.add, role="--add")
    exit_on_signals()
    # The port first: what would be refused is refused before a folder is added.
    with (
        bound(options.host, options.port) as listener,
        alone(options.library),
        open_detector(options) as detector,
    ):
        if photos is not None:
            _add_first(detector, *photos)
        limits = ServiceOptions(
            token=token,
            hosts=("127.0.0.1", "localhost", "::1", options.host, *options.allow_host),
            max_bytes=int(2**20 * options.max_megabytes),
            max_uploads=options.max_uploads,
            workers=options.workers,
        )
        where = address(options.host, listener.getsockname()[1])
        print(f"{counted(len(detector), 'reference')} in {options.library}; {where}", flush=True)
        listen(
            create_app(detector, limits), listener, most=max(_CONNECTIONS, 8 * options.max_uploads)
        )
    return 0


@contextmanager
def alone(library: Path) -> Iterator[None]:
    """Lock a library: two services would not see what the other adds and removes.

    Raises:
        AslError: another service has it.
        UsageError: it is a file.
    """
    from asl.storage import exclusive_lock, make_folder

    make_folder(library, name="--library")
    busy = f"{library}: another asl serve has it open; stop that one or choose --library"
    with exclusive_lock(library / "serve.lock", busy=busy):
        yield


def open_detector(options: ServeConfig) -> CopyDetector:
    """Open the detector; what its references lack is made first."""
    from asl.app.detector import CopyDetector
    from asl.console.progress import progress_bar
    from asl.data.decode_budget import keep_warm

    keep_warm(options.workers)
    with ExitStack() as stack:
        bars: list[Callable[[int, int], None]] = []

        def progress(done: int, total: int) -> None:
            if not bars:  # only where there is something to do
                bars.append(
                    stack.enter_context(
                        progress_bar("making what the library lacks", unit="images")
                    )
                )
            bars[0](done, total)

        detector = CopyDetector(
            options.model,
            folder=options.library,
            precision=options.precision,
            device=options.device,
            max_pixels=int(1e6 * options.max_megapixels),
            regions=options.regions,
            local_candidates=options.local_candidates,
            compare=options.compare,
            isolate=True,
            progress=progress,
        )
        if options.model is None and detector.model != MODEL:
            print(
                terminal_text(f"{options.library} was made with {detector.model}, which is used")
                + f"; a new library would use {MODEL}"
            )
        if options.check_files:
            detector.check()
        return detector


def _add_first(detector: CopyDetector, sources: Iterator[Source], total: int) -> None:
    """Add images that are named by their content, as uploads are, so that none is stored twice."""
    from asl.console.progress import progress_bar

    with progress_bar("adding", unit="images") as progress:
        added = detector.add_sources(sources, total, progress=progress)
    if added.failures:
        count = len(added.failures)
        print(f"{count} {'image is' if count == 1 else 'images are'} left out:", file=sys.stderr)
    for name, reason in added.failures:
        print(f"  {terminal_text(f'{name}: {reason}')}", file=sys.stderr)


main = EntryPoint("serve", run)

if __name__ == "__main__":
    main()
