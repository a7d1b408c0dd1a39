"""Inner-product search engines behind one protocol; an engine's own library is loaded on use."""
