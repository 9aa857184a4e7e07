"""What the page says of the model."""
