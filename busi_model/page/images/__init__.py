"""Images that a user opens: worklist, viewer, result, take-away."""
