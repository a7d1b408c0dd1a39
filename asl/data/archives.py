"""Images inside uncompressed tar archives (WebDataset shards included), read in place."""

from __future__ import annotations

import posixpath
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asl.counts import counted
from asl.data.signatures import read_extensions
from asl.storage import file_stamp
from asl.types import I64, AslError, StrArray, as_ids

Name = Callable[[str], str]
Place = tuple[int, int]  # first byte, bytes
_MOST_LINKS = 16  # that are followed from one member


@dataclass(frozen=True, eq=False)
class TarCatalog:
    """Images inside one or more uncompressed tar archives.

    Attributes:
        ids: ``[N]`` unique strings.
        archives: ``[N]`` archive of each image.
        offsets: int64 ``[N]`` first byte of each image in its archive.
        sizes: int64 ``[N]`` bytes of each image.
    """

    ids: StrArray
    archives: tuple[str, ...]
    offsets: I64
    sizes: I64

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", as_ids(self.ids, name="images"))

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, row: int) -> bytes:
        """Return the encoded bytes of an image.

        Raises:
            OSError: the archive cannot be read, or ends inside the image.
        """
        with Path(self.archives[row]).open("rb") as file:
            file.seek(int(self.offsets[row]))
            data = file.read(int(self.sizes[row]))
        if len(data) != self.sizes[row]:
            raise OSError(f"{self.archives[row]} ends inside {self.ids[row]}")
        return data

    def file_of(self, row: int) -> str:
        """Return the path of the archive that holds an image."""
        return self.archives[row]

    def locate(self, row: int) -> str:
        """Return ``ARCHIVE::ID``."""
        return f"{self.archives[row]}::{self.ids[row]}"

    def stamp(self, row: int) -> str:
        """Return place and size of the image with size and modification time of its archive."""
        return f"{self.offsets[row]}+{self.sizes[row]} {file_stamp(self.archives[row])}"


def open_tar(paths: Sequence[Path], name: Name) -> TarCatalog:
    """List the images of uncompressed tar archives, one archive after the other.

    Links inside an archive are followed. Where two archives have an image of the same name (shards
    whose samples are numbered from 0 each), all ids begin with the name of their archive.

    Args:
        paths: of the archives.
        name: path of a member -> id.

    Raises:
        AslError: no uncompressed tar archive, truncated, a link to nothing, or an id twice in one
            archive; names archive and member.
    """
    listed = [_members(path, name) for path in paths]
    names = shard_ids([path.name.split(".")[0] for path in paths], [list(part) for part in listed])
    archives = [str(path) for path, part in zip(paths, listed, strict=True) for _ in part]
    places = np.array([place for part in listed for place in part.values()], dtype=np.int64)
    offsets, sizes = places.reshape(-1, 2).T
    return TarCatalog(
        as_ids(names, name=", ".join(map(str, paths[:3]))), tuple(archives), offsets, sizes
    )


def shard_ids(shards: Sequence[str], ids: Sequence[Sequence[str]]) -> list[str]:
    """Join the ids of shards; begin all of them with their shard where two shards share one.

    >>> shard_ids(["0", "1"], [["a"], ["b"]])
    ['a', 'b']
    >>> shard_ids(["0", "1"], [["a"], ["a", "b"]])
    ['0/a', '1/a', '1/b']
    """
    joined = [name for part in ids for name in part]
    if len(shards) == 1 or len(set(joined)) == len(joined):
        return joined
    return [f"{shard}/{name}" for shard, part in zip(shards, ids, strict=True) for name in part]


def _members(path: Path, name: Name) -> dict[str, Place]:
    """Return id -> place of the images of one archive."""
    places: dict[str, Place] = {}
    links: dict[str, str] = {}
    images = 0
    endings = read_extensions()
    try:
        with tarfile.open(path, mode="r:") as archive:
            for member in archive:
                if member.isfile():
                    places[_plain(member.name)] = (member.offset_data, member.size)
                    images += Path(member.name).suffix.lower() in endings
                elif member.issym():
                    folder = posixpath.dirname(member.name)
                    links[_plain(member.name)] = _plain(posixpath.join(folder, member.linkname))
                elif member.islnk():
                    links[_plain(member.name)] = _plain(member.linkname)
    except (tarfile.TarError, OSError) as error:
        if places:
            raise AslError(
                f"{path}: truncated after {counted(images, 'image')} ({error}); copy it again, or "
                "move it away to work without it"
            ) from error
        raise AslError(
            f"{path}: not an uncompressed tar archive ({error}); unpack it, or copy it again"
        ) from error
    for link in links:
        if Path(link).suffix.lower() in endings:
            places[link] = _target(path, link, places, links)
    chosen = [member for member in places if Path(member).suffix.lower() in endings]
    ids = [name(member) for member in chosen]
    repeated = [key for key, count in Counter(ids).items() if count > 1]
    if repeated:
        first, second = [m for m, key in zip(chosen, ids, strict=True) if key == repeated[0]][:2]
        raise AslError(
            f"{path}: {first} and {second} get the same id {repeated[0]!r}; remove one, or use "
            "id_style=path"
        )
    return {key: places[member] for key, member in zip(ids, chosen, strict=True)}


def _plain(name: str) -> str:
    return posixpath.normpath(name)


def _target(path: Path, link: str, places: dict[str, Place], links: dict[str, str]) -> Place:
    target = link
    for _ in range(_MOST_LINKS):
        target = links.get(target, target)
        if target in places:
            return places[target]
    raise AslError(
        f"{path}: {link} is a link to {links[link]}, which is not in this archive; pack the files "
        "themselves (tar --dereference)"
    )
