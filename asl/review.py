"""``python -m asl.review``: decide about the copies that a scan found, and act.

The options and their explanation are in :mod:`asl.console.schemas.review_config`.
"""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from asl.console.entry import EntryPoint, current_command
from asl.console.schemas.review_config import ReviewConfig
from asl.console.terminal_text import byte_text, terminal_text
from asl.counts import counted
from asl.errors import AslError, UsageError

if TYPE_CHECKING:
    from asl.app.reviewing.removal_plan import Refusal, RemovalPlan
    from asl.app.reviewing.review_session import ReviewSession
    from asl.types import Progress

_CONNECTIONS = 64
_REFUSED = 1  # exit code


def run(options: ReviewConfig) -> int:
    """Start the page, or do what was asked for; returns the exit code."""
    from asl.app.reviewing.review_session import ReviewSession
    from asl.storage import exclusive_lock, no_folder

    _check(options)
    if not options.scan.is_dir():
        raise UsageError(f"scan: {no_folder(options.scan)}; give what `asl scan` wrote")
    busy = f"{options.scan}: another asl review has it open; stop that one first"
    with exclusive_lock(options.scan / "review.lock", busy=busy):
        session = ReviewSession(options.scan)
        if aside := session.set_aside:
            print(
                f"set aside: {counted(aside, 'decision')} about files that changed, or that this "
                "scan does not list; kept for a scan that finds them again"
            )
        if options.undo:
            return _undo(session)
        if options.rule:
            folder = options.folder and Path(os.path.abspath(options.folder))
            with _late_bar("comparing at full size", unit="pairs") as progress:
                applied = session.by_rules(
                    options.rule, folder=folder, store=False, progress=progress
                )
            counts = f"{applied.going} to go, {applied.staying} to stay"
            print(f"{counts} by {', '.join(options.rule)}")
            if applied.left_in_words:
                print(applied.left_in_words)
        if options.script is not None:
            return _write_script(session, options.script)
        if options.apply is not None:
            return _apply(session, options.apply, options.into)
        if options.dry_run or options.rule:
            return _dry_run(session, options)
        return _serve(session, options)


def _check(options: ReviewConfig) -> None:
    """Refuse what does not go together before anything is read."""
    from asl.app.reviewing.keep_rules import check_rule

    for name in options.rule:
        check_rule(name, options.folder)
    if options.folder is not None and "keep-folder" not in options.rule:
        raise UsageError("folder: needs --rule keep-folder")
    asked = [
        name
        for name, given in (
            ("dry_run", options.dry_run),
            ("apply", options.apply is not None),
            ("script", options.script is not None),
            ("undo", options.undo),
        )
        if given
    ]
    if len(asked) > 1:
        raise UsageError(f"{asked[1]}: does not go with {asked[0]}; give one of them")
    if options.undo and options.rule:
        raise UsageError("undo: takes no rule; it puts back what the last move took")
    if options.into is not None and options.apply is None and not options.dry_run:
        raise UsageError("into: needs --apply, or --dry-run to get its code")


@contextmanager
def _late_bar(label: str, unit: str) -> Iterator[Progress]:
    """Give a progress function whose bar appears with the first call."""
    from asl.console.progress import progress_bar

    with ExitStack() as stack:
        bars: list[Progress] = []

        def progress(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(progress_bar(label, unit=unit)))
            bars[0](done, total)

        yield progress


def _undo(session: ReviewSession) -> int:
    with _late_bar("putting back", unit="files") as progress:
        outcome = session.undo_removal(progress=progress)
    _print_refused(outcome.refused)
    print(f"{len(outcome.restored)} put back, {len(outcome.refused)} not")
    return _REFUSED if outcome.refused else 0


def _planned(session: ReviewSession) -> RemovalPlan:
    with _late_bar("comparing with the scan", unit="files") as progress:
        return session.plan(progress=progress)


def _dry_run(session: ReviewSession, options: ReviewConfig) -> int:
    plan = _planned(session)
    for move in plan.moves:
        name = session.result.typed_path(move.path)
        print(f"  would go   {terminal_text(name)}  ({byte_text(move.bytes)}; {move.by})")
    for refusal in plan.refused:
        name = session.result.typed_path(refusal.path)
        print(f"  refused    {terminal_text(f'{name}: {refusal.reason}')}")
    print(_counts(plan.decided, len(plan.moves), len(plan.refused), plan.kept, plan.bytes))
    left = len({number for group in session.groups for number in group.files}) - plan.decided
    if left:
        ones, many = "file of the groups is", "files of the groups are"
        print(f"{counted(left, ones, many)} undecided and {'stays' if left == 1 else 'stay'}")
    if plan.moves:
        words = ["asl", "review", str(options.scan)]
        for name in options.rule:
            words += ["--rule", name]
        words += ["--folder", str(options.folder)] if options.folder else []
        words += ["--apply", plan.code]
        words += ["--into", str(options.into)] if options.into else []
        print(f"nothing was changed; to move them: {shlex.join(words)}")
    return 0


def _apply(session: ReviewSession, code: str, into: Path | None) -> int:
    with _late_bar("moving", unit="files") as progress:
        done = session.apply(code, command=current_command(), into=into, progress=progress)
    _print_refused(done.refused)
    print(_counts(done.decided, len(done.moved), len(done.refused), done.kept, done.bytes))
    if done.log is not None:
        words = shlex.join(["asl", "review", str(session.folder), "--undo"])
        print(f"to put them back: {words}")
    return _REFUSED if done.refused else 0


def _write_script(session: ReviewSession, path: Path) -> int:
    from asl.app.reviewing.removal_script import write_script

    plan = _planned(session)
    write_script(plan, path, root=session.root)
    _print_refused(plan.refused)
    print(_counts(plan.decided, len(plan.moves), len(plan.refused), plan.kept, plan.bytes))
    print(f"read it, then: sh {shlex.quote(str(path))} [FOLDER]")
    return _REFUSED if plan.refused else 0


def _print_refused(refused: tuple[Refusal, ...]) -> None:
    for refusal in refused:
        print(terminal_text(f"  refused: {refusal.path}: {refusal.reason}"), file=sys.stderr)


def _counts(decided: int, moved: int, refused: int, kept: int, space: int) -> str:
    parts = f"{moved} to go + {refused} refused + {kept} kept"
    return f"{decided} decided = {parts}; {byte_text(space)} won"


def _serve(session: ReviewSession, options: ReviewConfig) -> int:
    try:
        from asl.app.reviewing.review_routes import create_review_app
        from asl.app.service.guard import ServiceOptions
        from asl.app.service.listening import address, bound, exit_on_signals, listen, read_token
    except ImportError as error:
        raise AslError(
            f"`pip install asl-icd[serve]` gives what the page needs ({error}); "
            "--rule and --dry-run work without it"
        ) from error
    if not session.groups:
        print("there is nothing to review: the scan found no copies, or all pairs are marked")
        return 0
    given = read_token(options.token_file)
    token = given or secrets.token_urlsafe(16)
    exit_on_signals()
    with (
        bound("127.0.0.1", options.port) as listener,
        closing(session.result.thumbnails()) as small,
    ):
        port = listener.getsockname()[1]
        place = address("127.0.0.1", port) + ("" if given else f"/#{token}")
        print(f"{counted(len(session.groups), 'group')} to review: {place}", flush=True)
        print("stop it with Ctrl-C; decisions are kept", flush=True)
        if options.browser:
            import webbrowser

            webbrowser.open(place)
        app = create_review_app(session, ServiceOptions(token=token), thumbnail=small)
        listen(app, listener, most=_CONNECTIONS)
    return 0


main = EntryPoint("review", run)

if __name__ == "__main__":
    main()
