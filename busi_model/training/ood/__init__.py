"""What is no breast ultrasound: pictures of it, the detector that is fitted on them, and what it refuses."""
