"""What tests share: stand-ins for other programs, hard input, the page under a browser."""
