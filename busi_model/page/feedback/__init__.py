"""Quick feedback under a result."""
