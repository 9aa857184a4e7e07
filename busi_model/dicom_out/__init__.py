"""Results as DICOM objects, for an archive that keeps the study: the only place that writes patients' names.

Needs the extra `dicom` (highdicom), imported when it is asked for. `write.dicom_results` is the way in; see there.
"""
