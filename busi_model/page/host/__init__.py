"""A reading session as its host meets it."""
