"""The operating point: fitted for a study, and anew at a user's own hospital."""
