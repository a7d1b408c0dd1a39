"""References stored in Milvus, on a server or in a milvus-lite file."""
