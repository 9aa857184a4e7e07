"""What goes out: the model card, ONNX, and the Hub."""
