"""Edit protocol, tracked views and exact pixel traces."""
