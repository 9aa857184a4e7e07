"""A Prediction becomes something a clinician reads: measurements, pictures, an explanation, a report.

Knows no gradio; only `explain` knows torch.
"""
