"""Embedders in a folder or a repository of the Hugging Face hub: safetensors and a model card.

The package ``huggingface_hub`` is an extra: ``pip install asl-icd[hub]``. Nothing is unpickled.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asl.models.embedder import Embedder
from asl.models.io import load_embedder, save_embedder
from asl.models.model_card import read_card
from asl.storage import atomic_text, make_folder
from asl.types import AslError, UsageError

WEIGHTS = "model.safetensors"
CARD = "README.md"


class HubModels:
    """Load, save and upload embedders; behind ``Embedder.from_pretrained`` and its siblings."""

    def load(self, name: str | Path, *, revision: str | None, token: str | None) -> Embedder:
        """Load an embedder from a folder, or else from a repository ``OWNER/NAME``.

        Raises:
            AslError: it has no ``model.safetensors``, or cannot be downloaded.
        """
        if Path(name).exists():
            return load_embedder(name)
        hub, errors = _library()
        try:
            path = hub.hf_hub_download(str(name), WEIGHTS, revision=revision, token=token)
        except (errors.HfHubHTTPError, errors.HFValidationError, OSError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise AslError(
                f"model: {name} is no folder and cannot be downloaded from the hub ({reason}); "
                "give a folder with model.safetensors, or OWNER/NAME of a repository with one"
            ) from error
        return load_embedder(path)

    def save(self, embedder: Embedder, folder: str | Path, *, card: Mapping[str, Any]) -> None:
        """Write ``model.safetensors`` and, where there is none, ``README.md`` with the card."""
        target = Path(folder)
        make_folder(target)
        save_embedder(embedder, target / WEIGHTS, card=card)
        if not (target / CARD).exists():
            with atomic_text(target / CARD) as file:
                file.write(card_text(embedder, card))

    def push(
        self,
        embedder: Embedder,
        name: str,
        *,
        card: Mapping[str, Any],
        private: bool,
        token: str | None,
    ) -> str:
        """Create a repository where there is none and upload weights and card.

        Returns:
            The address of the commit.

        Raises:
            AslError: the hub refuses.
        """
        hub, errors = _library()
        api = hub.HfApi(token=token)
        with tempfile.TemporaryDirectory() as folder:
            self.save(embedder, folder, card=card)
            try:
                made = api.create_repo(name, private=private, exist_ok=True)
                commit = api.upload_folder(
                    repo_id=made.repo_id, folder_path=folder, commit_message="Upload embedder"
                )
            except (errors.HfHubHTTPError, errors.HFValidationError, OSError) as error:
                reason = " ".join(str(error).split())[:200]
                raise AslError(
                    f"{name}: the hub refuses the upload ({reason}); log in with `hf auth login`, "
                    "or give token="
                ) from error
        return str(commit.commit_url)


def card_text(embedder: Embedder, card: Mapping[str, Any]) -> str:
    """Return a model card in Markdown: what the model is, how to load it, what its card says."""
    recipe, preprocessing = embedder.recipe, embedder.preprocessing
    lines = [
        "---",
        "library_name: asl-icd",
        "pipeline_tag: image-feature-extraction",
        "tags: [image-copy-detection, asymmetrical-similarity-learning]",
        "---",
        "",
        "# Image copy detection",
        "",
        f"`{recipe.backbone}`, pooling {recipe.pooling}, neck {recipe.neck}, {embedder.dim} "
        f"dimensions, {preprocessing.size} x {preprocessing.size} pixels ({preprocessing.resize}). "
        "The direction of a feature is the content; its norm orders how much of the original is "
        "left.",
        "",
        "```python",
        "from asl.models import Embedder",
        "",
        'embedder = Embedder.from_pretrained("OWNER/NAME")',
        "```",
    ]
    plain = {name: value for name, value in card.items() if isinstance(value, str | int | float)}
    if plain:
        rows = [f"| {name} | {value} |".replace("\n", " ") for name, value in plain.items()]
        lines += ["", "| | |", "|---|---|", *rows]
    return "\n".join([*lines, ""])


def card_of(folder: str | Path) -> dict[str, Any]:
    """Read the card of an embedder that :meth:`HubModels.save` wrote."""
    return read_card(Path(folder) / WEIGHTS)


def _library() -> tuple[Any, Any]:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError as error:
        raise UsageError(
            "model: repositories of the hub need huggingface_hub; run `pip install asl-icd[hub]`"
        ) from error
    return huggingface_hub, huggingface_hub.errors


Embedder.hub = HubModels()
