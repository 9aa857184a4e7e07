"""Every sentence that reading a picture can come to, by code: refusals, notices, and the parts that fill them.

`ImageError` and `Notice` carry a code and values; the sentence is looked up when it is shown. Helper processes hand on
codes, so that the page says them in its own language. `{...}` are filled by name; a value that is a code of `PARTS` is
said as that.
"""

_WANTED = "a PNG, JPEG, BMP, TIFF, WebP, GIF or DICOM picture is expected"
_AS_PNG = "Export the frame as PNG."
_WHOLE = "a whole file is expected. Export it again, or as PNG."
_EXTRA = "`pip install '.[dicom]'` in BUSI's folder brings"

REFUSALS = {
    "damaged": "The file is damaged or incomplete: its pixels cannot be decoded. A whole picture is expected. "
    "Export or copy it again.",
    # What was given
    "folder": f"A folder was given; {_WANTED}. Choose one file.",
    "device": f"A device or pipe was given; {_WANTED}. Choose a file.",
    "empty": f"The file is empty (0 bytes); {_WANTED}. Export or copy it again.",
    "file_too_large": "The file has {found} MiB; at most {most} MiB are read. Export a single frame.",
    "not_opened": f"The file cannot be opened ({{reason}}); {_WANTED}. Check the path.",
    "frame_of_no_file": "A frame can be chosen of a file only. Give its path, or choose without a frame.",
    "not_a_picture": "{kind} was given; a path, a Pillow image or a NumPy array is expected. Convert it first.",
    "array_shape": "An array of shape {shape} and type {kind} was given; (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) is "
    "expected. Give one picture, channels last.",
    "array_type": "An array of shape {shape} and type {kind} was given; bool, integers or floats are expected, with "
    "alpha uint8. Convert it.",
    "not_finite": "The image holds NaN or infinite values; finite numbers are expected. Replace them.",
    # Sizes
    "memory": "The image does not fit into memory. Export one frame, or a smaller one.",
    "pixels": "The image is {width}x{height} px, {megapixels:.1f} megapixels; at most {most} megapixels are read. "
    "Crop it or export one frame.",
    "far_too_many_pixels": "The image has far too many pixels; at most {most} megapixels are read. Crop it or export "
    "one frame.",
    "too_small": "The image is {width}x{height} px; at least {least}x{least} is needed. Export the frame at full size.",
    "no_such_frame": "Frame {frame} was asked for; the file holds {count}, counted from 1. Choose one of them.",
    "too_many_frames": "The file holds more than {most} frames; at most so many are read. Split it.",
    # Pictures
    "other_kind": f"The file holds {{kind}}; {_WANTED}. {_AS_PNG}",
    "photograph": f"The file holds a HEIC or AVIF photograph; {_WANTED}. Save it as JPEG or PNG; an iPhone takes JPEG "
    'when its camera\'s format is "Most Compatible".',
    "long_description": "The file describes itself at greater length than any picture has need of; "
    f"{_WANTED}. {_AS_PNG}",
    "many_scans": "The JPEG picture is built up in more than {most} steps, far more than any needs; a usual JPEG file "
    f"is expected. {_AS_PNG}",
    "misread": "The file holds {kind}; 8-bit colour, 8-bit or 16-bit gray is expected. Save it as a gray PNG.",
    "no_film_reader": f"Films are read by OpenCV, which is not installed; {_EXTRA} it. Or export the frame as PNG.",
    # DICOM
    "many_tags": f"The DICOM file has far more tags than any picture needs; an ultrasound image is expected. {_AS_PNG}",
    "long_tags": "The DICOM file holds more than {most} MiB of descriptions; a picture has far less. " + _AS_PNG,
    "long_film": "The DICOM file holds a film of more than {most} MiB; a clip has less. Export a single frame.",
    "unpacks_large": "The DICOM file unpacks to more than {most} MiB; one frame takes less. Export a single frame.",
    "no_integers": "The DICOM file holds no integer pixels; an ultrasound image is expected. Export it as PNG.",
    "no_pixels": f"The DICOM file describes a picture, but lacks PixelData; {_WHOLE}",
    "no_picture": "The DICOM file holds no picture (a report, a plan or an index?); an ultrasound image is expected. "
    "Choose the file with the image.",
    "tag_missing": f"The DICOM file lacks {{keyword}}, without which its pixels cannot be read; {_WHOLE}",
    "tag_nonsense": f"The DICOM file's {{keyword}} makes no sense, and without it its pixels cannot be read; {_WHOLE}",
    "unusual_colour": "The DICOM file holds an unusual kind of colour; gray, RGB, YBR or palette colour is expected. "
    + _AS_PNG,
    "segmentation": "The DICOM file is a segmentation, which holds outlines and not the picture; an ultrasound image "
    "is expected. Choose the file with the image.",
    "compressed": "The DICOM file is compressed by {method}; uncompressed, RLE, 8-bit JPEG, JPEG 2000, JPEG-LS or MPEG "
    "is expected. Export it uncompressed or as PNG.",
    "compressed_12_bits": "The DICOM file is compressed by {method} with 12 bits; uncompressed, RLE, 8-bit JPEG, JPEG "
    "2000, JPEG-LS or MPEG is expected. Export it uncompressed or as PNG.",
    "needs_extra": f"The DICOM file is compressed by {{method}}; {_EXTRA} what reads that. Or export the frame "
    "uncompressed or as PNG.",
    # Results as DICOM
    "no_study": "DICOM results belong to a study, and this file is no DICOM picture; one is expected. Ask for PNG "
    "overlays instead.",
    "identifiers_unread": "The DICOM file's identifiers cannot be read ({kind}); a whole file is expected. Export it "
    "again.",
    "identifier_missing": "The DICOM file lacks {keyword}, so no result can be tied to it; a whole file is expected. "
    "Export it again.",
    "identifier_long": "The DICOM file has an identifier of more than {most} letters; one of 64 is expected. Export it "
    "again.",
    "identifiers_unfit": "The DICOM file's identifiers are none that results can be tied to ({kind}); an ultrasound "
    "image of a study is expected. Export it again.",
    "no_highdicom": f"DICOM results are made by highdicom, which is not installed; {_EXTRA} it.",
    "nothing_to_file": "The picture was refused, so nothing is filed with its study. See its warnings.",
    # Helper processes
    "slow": "The file takes too long to decode; a picture takes a second. Export the frame as PNG.",
    "ended": "Reading the file was ended: it took too much memory, or the machine had none left. Open it again; if "
    "that fails too, export one frame, or a smaller one, as PNG.",
    "busy": "Several files that take long to decode are being read. Open this one again in a minute.",
    "stopping": "The program is being stopped. Open the file again when it runs.",
}

_NO_MM = "Lengths in millimetres are unknown."

NOTICES = {
    "banner_blanked": "Text beside the scan was blanked in the stored picture.",
    "blank": "The image is almost uniform. There is no result; export the frame again.",
    "burned_in": "The file says that text is burned into its pixels. It may name the patient: look before you share "
    "it.",
    "classes_close": "The classes are close to each other. Treat the class as open.",
    "classes_open": "{classes} cannot be told apart. Treat the class as open.",
    "colour": "Colour lies on the picture, as of Doppler or elastography; only its brightness is used. Export the "
    "frame without.",
    "exif_turned": "The picture was turned or mirrored as its EXIF tag asks.",
    "first_frame": "The file holds {count} frames; this is of the first.",
    "first_of_many": "The file holds more than {count} frames; this is of the first.",
    "inverted": "Black and white were exchanged, as the file asks.",
    "marks": "Calipers or text lie on the picture and can sway the result. Open the frame without them.",
    "middle_frame": "The file holds {count} frames; this is of frame {frame}, in the middle.",
    "nothing_outlined": "The class is {class_name}, but no lesion is outlined. Look for it yourself.",
    "not_ultrasound": "I am not sure that this is a breast ultrasound. There is no result; open a B-mode image of the "
    "breast, or have this one judged anyway, with care.",
    "on_cpu": "The graphics card had no memory left, so the CPU computed this result. It is as good; free the card for "
    "speed.",
    "other_modality": "The file says that it is {found}, not ultrasound. The result means nothing unless that is an "
    "error.",
    "outlined_normal": "A region is outlined, but the class is normal. Look at the region yourself.",
    "photo": "The gray is tinted unevenly, as in a photograph of a screen. Export the image from the scanner or the "
    "archive; or else photograph it straight on and crop it to the scan.",
    "pixels_not_square": "A pixel of this file is {aspect:.3g} times as high as wide. Shapes and lengths were taken in "
    "true proportion; the picture is shown in its own pixels.",
    "regions_disagree": f"The regions that the file describes do not fit its picture: it was cut or resized. {_NO_MM}",
    "rescaled": "Pixel values {low:.6g} to {high:.6g} were stretched to 0 to 255.",
    "scale_implausible": "The file says that a pixel is {row:.3g} x {column:.3g} mm; {low} to {high:g} mm are "
    "plausible. Lengths stay in pixels.",
    "scanned_spacing": f"The spacing in the file is that of a scanned print or film, not of tissue. {_NO_MM}",
    "spacings_differ": f"The file shows several scans at different scales. {_NO_MM}",
    "split_screen": "Two pictures lie side by side, but one result is given for both. Crop to each and open it on its "
    "own.",
    "tag_alone": "The file's {keyword} stands alone, and a window needs a centre and a width; it was left out.",
    "tag_contradicts": "The file's {keyword} contradicts the spacing; it was left out.",
    "tag_ignored": "The file's {keyword} is empty or makes no sense; it was left out.",
    "window": "The scan fills only a part of the picture, as in a program's window or on a photographed screen. "
    "Crop the picture to the scan, or export the image alone.",
    "windowed": "Gray values were mapped to black and white as the file asks.",
}

PASSED_OVER = {  # of files that were named or lie in a folder
    "pattern": "No file matches the pattern {pattern}.",
    "one": "{count} file was passed over: {kinds}.",
    "several": "{count} files or folders were passed over: {kinds}.",
}
PASSED_OVER_KINDS = {
    "hidden": "hidden",
    "mask": "mask beside its picture",
    "link": "link to a folder",
    "no_file": "broken link or device",
    "in_results": "picture in the folder for the results",
    "empty": "empty",
    "text": "text or table",
    "other": "of another kind",
    "no_picture": "DICOM without a picture (report, index, segmentation)",
    "unreadable": "not to be read",
    "unreadable_folder": "folder not to be read",
    "pdf": "PDF document",
    "archive": "archive or Office document",
    "database": "database",
    "matroska": "film in a format that is not read (Matroska, WebM)",
    "mpeg": "film in a format that is not read (MPEG)",
    "windows_media": "film in a format that is not read (Windows Media)",
}

PARTS = {  # what a sentence is filled with, by code
    "bad_path": "not a valid path",
    # Files that hold no picture
    "archive": "a ZIP archive or an Office document",
    "pdf": "a PDF document",
    "postscript": "a PostScript document",
    "photoshop": "a Photoshop document",
    "program": "a program",
    "tags": "a web page or another text with tags (HTML, SVG, XML)",
    "unknown_file": "no known kind of picture, or one with a damaged beginning",
    # Kinds of pixels
    "deep_channels": "several channels of 16 bits",
    "deep_white_is_zero": "deep gray with white as zero",
    "unsigned_32_bit": "32-bit unsigned or 8-bit signed gray",
    "lab": "LAB colour",
    "unknown_method": "an unknown method",
    # What a DICOM file says it is: its modality
    "MG": "mammography",
    "MR": "magnetic resonance",
    "CT": "computed tomography",
    "CR": "X-ray",
    "DX": "X-ray",
    "RF": "fluoroscopy",
    "XA": "angiography",
    "NM": "nuclear medicine",
    "PT": "positron emission tomography",
    "SM": "microscopy",
    "other_kind_of_picture": "another kind of picture",
}
