"""Which index a Milvus collection has, and what a request has to say to it."""

from __future__ import annotations

from dataclasses import dataclass

from asl.types import UsageError

_NPROBE = ("IVF_FLAT", "IVF_SQ8", "IVF_PQ", "IVF_RABITQ", "SCANN")
_EF = ("HNSW", "HNSW_SQ", "HNSW_PQ")
_DEFAULT = {"nlist": 128, "M": 16, "efConstruction": 200}  # Milvus has no defaults for these in all of its versions
_WANTED = {"FLAT": (), "AUTOINDEX": (), "DISKANN": (), **dict.fromkeys(_NPROBE, ("nlist",))}
_WANTED |= dict.fromkeys(_EF, ("M", "efConstruction"))


@dataclass(frozen=True)
class IndexKind:
    """An index type with its parameters.

    Attributes:
        name: as Milvus calls it.
        parameters: what the index is built with.
    """

    name: str
    parameters: dict[str, int | str]

    @classmethod
    def of(cls, text: str) -> IndexKind:
        """Read ``FLAT``, ``HNSW,M=32``, ``IVF_SQ8,nlist=1024`` ...; what an index needs and is not given has a default.

        Raises:
            UsageError: no such index type, or a parameter that is no ``name=value``.
        """
        name, *given = text.replace(" ", "").split(",")
        if name not in _WANTED:
            raise UsageError(f"milvus_index: expected one of {', '.join(sorted(_WANTED))}, got {name!r}")
        parameters: dict[str, int | str] = {key: _DEFAULT[key] for key in _WANTED[name]}
        for pair in given:
            key, equals, value = pair.partition("=")
            if not (key and equals and value):
                raise UsageError(f"milvus_index: expected {name},NAME=VALUE,... got {text!r}")
            parameters[key] = int(value) if value.isdigit() else value
        return cls(name, parameters)

    def __str__(self) -> str:
        """As :meth:`of` reads it."""
        return ",".join([self.name, *(f"{key}={value}" for key, value in self.parameters.items())])

    @property
    def exact(self) -> bool:
        """Whether every list is complete."""
        return self.name == "FLAT"

    def searching(self, nprobe: int, m: int) -> dict[str, int]:
        """Parameters of a request for m neighbours.

        Args:
            nprobe: lists of an inverted file that a query looks into; of graphs, ``ef`` is four times that.
            m: what is asked for; a graph refuses to look at fewer.
        """
        if self.name in _NPROBE:
            return {"nprobe": min(nprobe, int(self.parameters["nlist"]))}
        if self.name in _EF:
            return {"ef": max(4 * nprobe, m)}
        return {"search_list": max(4 * nprobe, m)} if self.name == "DISKANN" else {}
