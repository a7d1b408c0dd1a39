"""Index types of a Milvus collection, and the search parameters of each."""

from __future__ import annotations

from dataclasses import dataclass

from asl.types import UsageError

# Index type -> its parameters with our defaults; servers have no defaults for all of them. Product
# quantisation is left out: it needs dimensions that divide by its parts, and vectors here have D +
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
_IN_MILVUS_LITE = {"FLAT", "AUTOINDEX", "IVF_FLAT", "IVF_SQ8", "HNSW"}
_EF_PER_NPROBE = 4  # candidates of a graph search per nprobe


@dataclass(frozen=True)
class IndexKind:
    """An index type with its parameters.

    Attributes:
        name: Milvus's name of the type.
        parameters: parameters that the index is built with.
    """

    name: str
    parameters: dict[str, int]

    @classmethod
    def of(cls, text: str) -> IndexKind:
        """Read ``FLAT``, ``HNSW,M=32``, ``IVF_SQ8,nlist=1024`` ...; the rest takes defaults.

        Raises:
            UsageError: there is no such index type or parameter, or a value is no whole number of 1
                or more.

        >>> str(IndexKind.of("HNSW,M=32"))
        'HNSW,M=32,efConstruction=200'
        """
        name, *given = text.replace(" ", "").split(",")
        if name not in _KINDS:
            raise UsageError(
                f"milvus_index: expected one of {', '.join(sorted(_KINDS))}, got {name!r}; "
                "choose one of these"
            )
        parameters = dict(_KINDS[name])
        for pair in given:
            key, _, value = pair.partition("=")
            if key not in parameters or not (value.isascii() and value.isdigit() and int(value)):
                known = ", ".join(f"{known}=NUMBER" for known in parameters) or "no parameters"
                raise UsageError(
                    f"milvus_index: {name} takes {known}, got {pair!r}; "
                    "a number is whole and 1 or more"
                )
            parameters[key] = int(value)
        return cls(name, parameters)

    def __str__(self) -> str:
        """Write the text that :meth:`of` reads."""
        return ",".join([self.name, *(f"{key}={value}" for key, value in self.parameters.items())])

    @property
    def exact(self) -> bool:
        """True where every list is complete."""
        return self.name == "FLAT"

    def check_place(self, address: str) -> None:
        """Refuse index types that milvus-lite lacks; it would fail late, in the background.

        Raises:
            UsageError: ``address`` is a file (it ends in ``.db``), and this index needs a server.
        """
        if address.endswith(".db") and self.name not in _IN_MILVUS_LITE:
            raise UsageError(
                f"milvus_index: {self.name} needs a server, got the file {address}; "
                f"a file takes {', '.join(sorted(_IN_MILVUS_LITE))}"
            )

    def searching(self, nprobe: int, m: int) -> dict[str, int]:
        """Return the search parameters of a request.

        Args:
            nprobe: inverted lists searched per query; of graphs, ``ef`` is four times that.
            m: neighbours that are asked for; a graph refuses a smaller ``ef``.

        >>> IndexKind.of("HNSW").searching(16, 10)
        {'ef': 64}
        """
        if "nlist" in self.parameters:
            return {"nprobe": min(nprobe, self.parameters["nlist"])}
        width = max(_EF_PER_NPROBE * nprobe, m)
        if self.name == "HNSW":
            return {"ef": width}
        return {"search_list": width} if self.name == "DISKANN" else {}
