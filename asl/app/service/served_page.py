"""Parts that every page of a service on this machine has: its policy, its parameters."""

from __future__ import annotations

import base64
import hashlib

from fastapi import Request

from asl.app.service.guard import OPEN_PATHS
from asl.app.service.uploads import Refused
from asl.report.page import render


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse unknown parameters: a typo would be ignored, and its default used."""
    route = request.scope["route"]
    known = [field.alias for field in route.dependant.query_params]
    unknown = sorted(set(request.query_params) - set(known))
    if unknown and route.path not in OPEN_PATHS:
        hint = f"known are {', '.join(known)}" if known else "there are none here"
        raise Refused(400, f"there is no parameter {unknown[0][:40]!r}; {hint}")


def served_page(template: str, *, folder: str, **values: object) -> tuple[str, str]:
    """Render a page; return it with a policy that runs no script but its own.

    Args:
        template: file name; its page has one script element without a type.
        folder: of the template, relative to the package.
        values: variables of the template.
    """
    text = render(template, folder=folder, **values)
    script = text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return text, policy
