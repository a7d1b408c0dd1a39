"""Which index a Milvus collection has, and what a request has to say to it."""

from __future__ import annotations

from dataclasses import dataclass

from asl.types import UsageError

# Index type -> its parameters with our defaults; servers have none for all of them. Product
# quantisation is left out: it wants dimensions that divide by its parts, and vectors here have D +
# 2.
_KINDS: dict[str, dict[str, int]] = {
    "FLAT": {},
    "AUTOINDEX": {},
    "IVF_FLAT": {"nlist": 128},
    "IVF_SQ8": {"nlist": 128},
    "IVF_RABITQ": {"nlist": 128},
    "HNSW": {"M": 16, "efConstruction": 200},
    "DISKANN": {},
}
_EMBEDDED = {"FLAT", "AUTOINDEX", "IVF_FLAT", "IVF_SQ8", "HNSW"}  # what milvus-lite has


@dataclass(frozen=True)
class IndexKind:
    """An index type with its parameters.

    Attributes:
        name: as Milvus calls it.
        parameters: what the index is built with.
    """

    name: str
    parameters: dict[str, int]

    @classmethod
    def of(cls, text: str) -> IndexKind:
        """Read ``FLAT``, ``HNSW,M=32``, ``IVF_SQ8,nlist=1024`` ...; parameters that are not given have a default.

        Raises:
            UsageError: no such index type, or no such parameter of it, or no number of 1 or more.
        """
        name, *given = text.replace(" ", "").split(",")
        if name not in _KINDS:
            raise UsageError(
                f"milvus_index: expected one of {', '.join(sorted(_KINDS))}, got {name!r}"
            )
        parameters = dict(_KINDS[name])
        for pair in given:
            key, _, value = pair.partition("=")
            if key not in parameters or not (value.isascii() and value.isdigit() and int(value)):
                known = ", ".join(f"{known}=NUMBER" for known in parameters) or "no parameters"
                raise UsageError(f"milvus_index: {name} takes {known}, got {pair!r}")
            parameters[key] = int(value)
        return cls(name, parameters)

    def __str__(self) -> str:
        """As :meth:`of` reads it."""
        return ",".join([self.name, *(f"{key}={value}" for key, value in self.parameters.items())])

    @property
    def exact(self) -> bool:
        """Whether every list is complete."""
        return self.name == "FLAT"

    def check_place(self, address: str) -> None:
        """Refuse what the embedded milvus-lite does not have: it would fail after the filling, in the background.

        Raises:
            UsageError: ``address`` is a file (it ends in ``.db``), and this index needs a server.
        """
        if address.endswith(".db") and self.name not in _EMBEDDED:
            raise UsageError(
                f"milvus_index: {self.name} needs a server; a file has {', '.join(sorted(_EMBEDDED))}"
            )

    def searching(self, nprobe: int, m: int) -> dict[str, int]:
        """Parameters of a request for m neighbours.

        Args:
            nprobe: lists of an inverted file that a query looks into; of graphs, ``ef`` is four
                times that.
            m: what is asked for; a graph refuses to look at fewer.
        """
        if "nlist" in self.parameters:
            return {"nprobe": min(nprobe, self.parameters["nlist"])}
        if self.name == "HNSW":
            return {"ef": max(4 * nprobe, m)}
        return {"search_list": max(4 * nprobe, m)} if self.name == "DISKANN" else {}
