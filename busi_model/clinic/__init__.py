"""A Prediction becomes something a clinician reads: outlines and pictures. Knows no torch and no gradio."""
