"""From a file that anybody may have sent to pixels: pictures, films, DICOM, and what of them is no scan.

picture_file   an open file -> a Pillow image, within limits of time and memory
film           films and moving pictures -> one frame
dicom/         DICOM -> pixels and millimetres
colour         colour laid over gray;  banner: text beside the scan is found and blanked
helper         one process apart, which reads files from outside;  helpers: a pool of them, with a fast lane

`busi_model.image.read_image` is the way in.
"""
