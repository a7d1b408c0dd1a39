r"""Serve a copy detector on this machine, with a page to drop images on.

Examples:
  asl serve                                         http://127.0.0.1:8765, keeps ./asl-library
  asl serve --library refs --add PHOTOS             add a folder of photographs first
  asl serve --model runs/mine --port 9000
  ASL_TOKEN=secret asl serve --host 0.0.0.0 --allow-host photos.lan

  curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' \
      'http://127.0.0.1:8765/v1/references?label=photo.jpg'
  curl --data-binary @suspect.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8765/v1/search
  curl -F images=@a.jpg -F images=@b.jpg http://127.0.0.1:8765/v1/search/batch

By default only this machine can connect. With another --host every client needs a token
(environment variable ASL_TOKEN, or --token-file). There is no encryption: put a proxy with TLS in
front of it where others can listen. The interface is described at /docs (for programs at
/openapi.json), counters are at /metrics.

Exit code: 0 stopped by a signal, 1 failed, 2 wrong use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from asl.console.schema_groups import CheckedChoices
from asl.console.schemas.shared_keys import Regions
from asl.shared_defaults import LOCAL_CANDIDATES, PRECISION


@dataclass(kw_only=True)
class ServeLibrary:
    """Library and model.

    Attributes:
        library: folder that keeps the references.
        add: folder whose images are added first.
        model: asl_lite1, asl_lite0 or a trained model; null: the one of the package that made the
            library, asl_lite1 for a new one.
        regions: regions to search as well, for crops.
        local_candidates: candidates per image by local features, for crops and collages; 0: none.
        compare: promising: candidates that can match by their cosine and a quick test of their
            features; all: every one of them.
        precision: share of the matches that should be right.
        check_files: check the whole library first, not only what is read.
    """

    library: Path = Path("asl-library")
    add: Path | None = None
    model: str | None = None
    regions: Regions = "coarse"
    local_candidates: int = LOCAL_CANDIDATES
    compare: Literal["all", "promising"] = "all"
    precision: float = PRECISION
    check_files: bool = False


@dataclass(kw_only=True)
class ServeNetwork:
    """Network.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0: any free one.
        allow_host: another name that clients may use for this machine; may be given again.
        token_file: file whose first line is the token that clients must send.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    allow_host: list[str] = field(default_factory=list)
    token_file: Path | None = None


@dataclass(kw_only=True)
class ServeLimits:
    """Limits and machine.

    Attributes:
        max_megabytes: largest upload in megabytes.
        max_megapixels: largest image in megapixels; JPEGs may have four times that.
        max_uploads: uploads at the same time.
        workers: images that are searched at the same time.
        device: auto, cpu, cuda.
    """

    max_megabytes: float = 32
    max_megapixels: float = 50
    max_uploads: int = 16
    workers: int = 2
    device: str = "auto"


@dataclass(kw_only=True)
class ServeConfig(ServeLibrary, ServeNetwork, ServeLimits, CheckedChoices):
    """Options of ``asl serve``."""
