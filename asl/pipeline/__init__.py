"""Join the rooms for the verbs: open inputs, embed, find candidates, verify, score a benchmark."""
