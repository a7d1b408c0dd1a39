"""µAP, recall at a precision, directional and hard-negative metrics; numpy only."""
