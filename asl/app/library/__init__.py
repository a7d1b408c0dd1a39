"""Store of known images: records, embeddings, thumbnails, file facts."""
