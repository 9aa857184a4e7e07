"""A reading session as its readers meet it."""
