"""Search engines behind one small protocol, and exact directional search on top of them."""
