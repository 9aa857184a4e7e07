"""One training run, from cases to a network."""
