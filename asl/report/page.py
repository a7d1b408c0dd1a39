"""Render self-contained HTML pages from Jinja2 templates that are files of the package."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from asl.storage import printable_name
from asl.types import U8

SHARED_TEMPLATES = "report/templates"
_SURROGATE = re.compile("[\ud800-\udfff]")


def render(template: str, *, folder: str = SHARED_TEMPLATES, **values: object) -> str:
    """Render a template; values are escaped.

    A template may include a style sheet or a script as it is: ``{{ source("style.css") }}``; the
    shared style sheet can be included from any folder. Data go into a script element of the type
    application/json by ``{{ data|tojson }}``, which cannot end it.

    Args:
        template: file name.
        folder: of the template, relative to the package.
        values: variables of the template.
    """
    return _environment(folder).get_template(template).render(**values)


def picture_address(image: U8, *, side: int, quality: int) -> str:
    """Return a picture as a ``data:`` address of a JPEG.

    Args:
        image: uint8 ``[H, W, 3]`` RGB.
        side: pixels of the longer side, at most.
        quality: of the JPEG, 1..100.
    """
    import cv2

    from asl.data.images import encode_image

    factor = min(1.0, side / max(image.shape[:2]))
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    data = encode_image(cv2.resize(image, size, interpolation=cv2.INTER_AREA), quality)
    return "data:image/jpeg;base64," + base64.b64encode(data).decode()


def _page_json(value: object) -> str:
    """Return compact JSON; bytes of file names that are not UTF-8 are shown, not kept."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _SURROGATE.sub(lambda found: json.dumps(printable_name(found[0]))[1:-1], text)


@lru_cache
def _environment(folder: str) -> Environment:
    loaders = [PackageLoader("asl", path) for path in dict.fromkeys((folder, SHARED_TEMPLATES))]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_function"] = _page_json
    environment.policies["json.dumps_kwargs"] = {}

    def source(name: str) -> Markup:
        for loader in loaders:
            if name in loader.list_templates():
                return Markup(loader.get_source(environment, name)[0])
        raise FileNotFoundError(f"{name}: is in none of {folder}, {SHARED_TEMPLATES}")

    environment.globals["source"] = source
    return environment
