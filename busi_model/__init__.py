"""BUSI: lesion outline, class and confidence from one breast-ultrasound image."""

import os

__version__ = "0.2.0"  # written into each record that readers make

# Two OpenMP threads that spin while a busy machine has no core for them are 15 times slower than one.
# libgomp reads this once, when torch is first imported, so it stands here.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Nothing is told to anybody. The Hub's client and Gradio read these once, too.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
