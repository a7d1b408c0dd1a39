"""Page of a review, behind the guard of the service: for the person at this machine only.

No path is taken from the page: files and pairs are known by their numbers in the scan.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from cachetools import LRUCache
from fastapi import Depends, FastAPI, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from asl.app.pairs.pair_marks import Mark
from asl.app.reviewing.keep_rules import RuleName
from asl.app.reviewing.removal_script import write_script
from asl.app.reviewing.review_payload import calibration_payload, review_payload, state_payload
from asl.app.reviewing.review_session import ReviewSession
from asl.app.service.guard import Guard, ServiceOptions, explain_errors
from asl.app.service.prometheus import Metrics
from asl.app.service.served_page import refuse_unknown_parameters, served_page
from asl.app.service.uploads import Refused
from asl.data.images import decode_image, encode_image, resize_image
from asl.version import __version__

PAGE_FOLDER = "app/reviewing/page"
SCRIPT_FILE = "remove.sh"
MOST_SIDE = 4096  # pixels of a picture in the page
PICTURE_QUALITY = 93  # of its JPEG
CACHED_PICTURES = 8
Plain = dict[str, Any]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DecideBody(_Body):
    """Files to decide about; ``keep`` null takes decisions back."""

    files: list[int] = Field(max_length=1_000_000)
    keep: bool | None


class RuleBody(_Body):
    """A rule, and the files that it may decide about."""

    rule: RuleName
    folder: str | None = None
    files: list[int] = Field(max_length=1_000_000)


class MarkBody(_Body):
    """A mark for a pair of files; null takes it back."""

    first: int
    second: int
    mark: Mark | None
    asked: bool = False


class ApplyBody(_Body):
    """The code of the list that was looked at."""

    code: str
    how: Literal["trash", "script"] = "trash"


def create_review_app(
    session: ReviewSession, options: ServiceOptions, *, thumbnail: Callable[[str], bytes]
) -> FastAPI:
    """Create the page of a review.

    Args:
        session: the review.
        options: token and names of the host.
        thumbnail: digest -> JPEG.
    """
    metrics = Metrics()
    pages = _ReviewPages(session, thumbnail)
    app = FastAPI(
        title="asl review",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(refuse_unknown_parameters)],
    )
    app.middleware("http")(Guard(options, metrics))
    explain_errors(app)
    app.get("/", response_class=HTMLResponse)(pages.page)
    app.get("/review")(pages.review)
    app.get("/question")(pages.question)
    app.get("/plan")(pages.plan)
    app.get("/thumbnail/{image}", response_class=Response)(pages.thumbnail)
    app.get("/picture/{file}", response_class=Response)(pages.picture)
    app.post("/decide")(pages.decide)
    app.post("/rule")(pages.rule)
    app.post("/mark")(pages.mark)
    app.post("/undo")(pages.undo)
    app.post("/apply")(pages.apply)
    app.post("/put-back")(pages.put_back)
    return app


class _ReviewPages:
    """Answers; plain functions, which run in threads."""

    def __init__(self, session: ReviewSession, thumbnail: Callable[[str], bytes]) -> None:
        self._session, self._thumbnail = session, thumbnail
        self._lock = threading.Lock()
        self._pictures: LRUCache[int, bytes] = LRUCache(CACHED_PICTURES)
        self._page, self._policy = served_page(
            "review.html", folder=PAGE_FOLDER, title=session.root.name or str(session.root)
        )

    def page(self) -> HTMLResponse:
        """The page; it holds no data of the review."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": self._policy})

    def review(self) -> Plain:
        """Everything that the page shows."""
        return review_payload(self._session)

    def question(self) -> Plain:
        """The next pair to ask about, and what the answers say so far."""
        question = self._session.question()
        row = None if question is None else question.row
        return {"pair": row, "calibration": calibration_payload(self._session)}

    def thumbnail(self, image: int) -> Response:
        """Thumbnail of a content."""
        images = self._session.result.images
        if not 0 <= image < len(images):
            raise Refused(404, "there is no such image")
        return Response(self._thumbnail(images[image].digest), media_type="image/jpeg")

    def picture(self, file: int) -> Response:
        """A file at full size, as a JPEG that every browser shows."""
        with self._lock:
            data = self._pictures.get(file)
        if data is None:
            pixels = decode_image(Path(self._session.files.checked(file).place))
            longest = max(pixels.shape[:2])
            if longest > MOST_SIDE:
                factor = MOST_SIDE / longest
                height, width = (max(1, round(side * factor)) for side in pixels.shape[:2])
                pixels = resize_image(pixels, (height, width))
            data = encode_image(pixels, PICTURE_QUALITY)
            with self._lock:
                self._pictures[file] = data
        return Response(data, media_type="image/jpeg")

    def decide(self, body: DecideBody) -> Plain:
        """Decide about files by hand."""
        self._session.decide(body.files, body.keep)
        return state_payload(self._session)

    def rule(self, body: RuleBody) -> Plain:
        """Let a rule decide about what the page shows."""
        folder = None if body.folder is None else self._session.root / body.folder
        applied = self._session.by_rules([body.rule], folder=folder, shown=set(body.files))
        return {
            **state_payload(self._session),
            "going": applied.going,
            "staying": applied.staying,
            "left": applied.left_in_words,
            "doubts": applied.left,
        }

    def mark(self, body: MarkBody) -> Plain:
        """Mark a pair."""
        pair = self._session.digest(body.first), self._session.digest(body.second)
        self._session.mark(pair, body.mark, asked=body.asked)
        return review_payload(self._session)

    def undo(self) -> Plain:
        """Take the last step back."""
        undone = self._session.undo()
        return {**review_payload(self._session), "undone": undone}

    def plan(self) -> Plain:
        """The dry run."""
        plan = self._session.plan()
        name = self._session.result.typed_path
        return {
            "code": plan.code,
            "bytes": plan.bytes,
            "kept": plan.kept,
            "moves": [[name(move.path), move.bytes, move.by] for move in plan.moves],
            "refused": [[name(refusal.path), refusal.reason] for refusal in plan.refused],
        }

    def apply(self, body: ApplyBody) -> Plain:
        """Move the files of the dry run to the trash, or write a script that moves them."""
        session = self._session
        if body.how == "script":
            plan = session.plan()
            if plan.code != body.code:
                raise Refused(409, "the list has changed; look at it again")
            path = session.folder / SCRIPT_FILE
            write_script(plan, path, root=session.root)
            return {"script": str(path), "refused": [], **review_payload(session)}
        done = session.apply(body.code, command="asl review (page)")
        name = session.result.typed_path
        return {
            "moved": len(done.moved),
            "kept": done.kept,
            "bytes": done.bytes,
            "refused": [[name(refusal.path), refusal.reason] for refusal in done.refused],
            **review_payload(session),
        }

    def put_back(self) -> Plain:
        """Undo the last removal."""
        restored = self._session.undo_removal()
        name = self._session.result.typed_path
        return {
            "restored": len(restored.restored),
            "refused": [[name(refusal.path), refusal.reason] for refusal in restored.refused],
            **review_payload(self._session),
        }
