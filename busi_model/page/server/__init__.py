"""What the server lets in and out, and whom."""
