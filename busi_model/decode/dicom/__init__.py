"""DICOM files: the only place that knows pydicom. `read` is the way in; see there."""
