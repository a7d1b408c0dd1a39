"""Inner-product search engines behind one protocol; each loads its own library on use."""
