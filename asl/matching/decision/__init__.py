"""Turn evidence into a probability: boosted trees, rivals, thresholds, explanations."""
