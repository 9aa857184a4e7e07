"""Every English word that is said of a Prediction, by code, for page, session, text, JSON and PDF. `{...}` are filled
by name."""

CLASS_NAMES = {"benign": "Benign", "malignant": "Malignant", "normal": "Normal"}
OPERATING_NAMES = {"balanced": "balanced", "sensitive": "sensitive"}

# What the operating point in use decides
VERDICTS = {
    "suspicious": "Suspicious of malignancy",
    "not_suspicious": "Not suspicious",
    "no_lesion": "No lesion found",
    "contradiction": "Contradiction",
    "cannot_say": "Cannot say",
    "not_judged": "Not judged",
}
REASONS = {  # why the verdict is what it is
    "suspicious": "Malignant {probability}; {name} threshold {limit}.",
    "not_suspicious": "Malignant {probability}; {name} threshold {limit}. Not ruled out.",
    "no_lesion": "Nothing is outlined and the class is normal. A lesion can be missed.",
    "contradiction": "A region is outlined, but the class is normal. Look yourself.",
    "nothing_outlined": "The class is {class_name}, but nothing is outlined. Look yourself.",
    "open": "Malignant {probability} is below the {name} threshold, {limit}, but possible.",
    "no_threshold": "No threshold for malignancy was measured for these weights.",
    "not_ultrasound": "I am not sure that this is a breast ultrasound.",
    "blank": "The picture is almost uniform.",
    "refused": "The program does not judge this picture.",
}
CLASS_LINE = "Likeliest class: {name}, {percent}"
CLASS_OPEN = "Class open: {names}"
CLASS_OR = " or "
CLASS_OPEN_ALL = "Class open: all are possible"
OUTLINED = {0: "No region is outlined.", 1: "One region is outlined."}
OUTLINED_SEVERAL = "{count} regions are outlined."
CLIP = {  # what a clip comes to, all its frames judged
    "judged": "{judged} of {frames} frames judged.",
    "none": "None of {frames} frames could be judged.",
    "label": "Most frequent class: {name}, in {share} % of them.",
    "worst": "Most suspicious: frame {frame}, malignant {percent}.",
    "agreement": "Outlines of successive frames overlap by a mean Dice of {dice:.2f}.",
    "no_agreement": "No two successive frames have outlines to compare.",
}
PROBABILITIES_CAPTION = "Probability of each class"
COLUMN_CLASS, COLUMN_PROBABILITY = "Class", "Probability"
PERCENT = "{percent} %"
PERCENT_OVER, PERCENT_UNDER = "over 99 %", "under 1 %"
RATE = "{value} (95 % interval {low} to {high}, n = {n})"
OUTLINE_EDITED = "Outline edited."
SYNTHETIC = "Synthetic picture."
SYNTHETIC_NOTE = "Drawn by a program: it shows how the page works, not how good the model is."
INSISTED = "Shown at your request."
INSISTED_NOTE = "Shown at your request: the program would not judge this picture."

# Warnings in order of weight. Code: what it is in a few words, what was found, what to do. Where what was found holds a
# figure it comes from the program ("{found}").
WARNINGS = {
    "blank": ("Blank picture", "It is almost uniform.", "Check that it shows tissue, and export it again."),
    "not_ultrasound": (
        "Possibly not breast ultrasound",
        "It does not look like the images that the program was made from.",
        "Open a gray still image of the breast; crop a screenshot or a photograph to the scan.",
    ),
    "other_modality": ("File says: not ultrasound", "{found}", "Open a B-mode still image of the breast."),
    "photo": (
        "A photograph of a screen",
        "Glare and tilt change what is seen.",
        "Crop it to the scan.",
    ),
    "window": ("More than the scan", "The scan is seen too small.", "Crop the picture to the scan."),
    "heads_disagree": (
        "Outline and class disagree",
        "One says that there is a lesion, the other that there is none.",
        "Rely on neither; look yourself.",
    ),
    "split_screen": (
        "Two pictures in one",
        "They lie side by side, but one result is given for both.",
        "Crop the file to one of them.",
    ),
    "low_confidence": ("Class unclear", "The classes cannot be told apart well.", "Treat the class as open."),
    "uncertain": ("Several classes are possible", "", "Treat the class as open."),
    "colour": (
        "Colour in the picture",
        "As of Doppler or elastography; only its brightness is used.",
        "Use the frame without it; the network learnt from gray.",
    ),
    "marks": (
        "Calipers or text burned in",
        "They can sway the result.",
        "A frame stored before measuring is best.",
    ),
    "burned_in": ("File says: text burned in", "{found}", "Crop a name away before you share it."),
    "banner_blanked": (
        "Text beside the scan blanked",
        "{found}",
        "Look for names that remain before you share it.",
    ),
    "middle_frame": ("A film: one frame read", "{found}", "Choose another frame to read it."),
    "first_frame": ("Several frames in the file", "{found}", "Choose another frame to read it."),
    "regions_disagree": ("Scan regions fit another picture", "{found}", "Mark a known length to get millimetres."),
    "spacings_differ": ("Several scales in one picture", "{found}", "Mark a known length to get millimetres."),
    "scanned_spacing": ("The scale of a print", "{found}", "Mark a known length to get millimetres."),
    "scale_implausible": ("Impossible scale in the file", "{found}", "Mark a known length to get millimetres."),
    "pixels_not_square": ("Pixels are not square", "{found}", "Judge shapes by the figures, not by eye."),
    "windowed": ("Brightness set by the file", "{found}", "Compare it with the original before you trust it."),
    "inverted": ("Black and white exchanged", "{found}", "Compare it with the original before you trust it."),
    "rescaled": ("Gray levels stretched", "{found}", "Compare brightness with the original before you trust it."),
    "exif_turned": ("Turned picture", "{found}", "Check that the probe is at the top."),
    "tag_ignored": ("Unusable entry in the file", "{found}", "Export it again if a scale or a region is missing."),
    "on_cpu": ("The graphics card was full", "{found}", "The result is as good; free the card for more speed."),
}
WARNING_UNKNOWN = ("A note on the picture", "{found}", "")
WARNINGS_MORE = "{first}; {count} more"

# What the figures mean
MEANING_HEADING = "What the figures mean"
MEANING_VERDICTS = {
    "suspicious": "The malignant probability, {probability}, reaches the {name} threshold, {limit}.",
    "not_suspicious": "The malignant probability, {probability}, is below the {name} threshold, {limit}. "
    "That does not rule malignancy out.",
}
MEANING_RATES = "Measured at this threshold: sensitivity {sensitivity}; specificity {specificity}."
MEANING_NO_THRESHOLD = (
    "No threshold for malignancy was measured for these weights: sensitivity and specificity are unknown."
)
MEANING_SET = "The classes named as possible contained the true one in {rate} of held-out images."
MEANING_OBSERVED = {
    "benign": "Of held-out images given {low} to {high} % for benign, {rate} were benign.",
    "malignant": "Of held-out images given {low} to {high} % for malignant, {rate} were malignant.",
    "normal": "Of held-out images given {low} to {high} % for normal, {rate} showed no lesion.",
}
MEANING_UNOBSERVED = "Hardly any held-out image was given such a figure: how often it is right was not measured."
MEANING = {
    "benign": "Of 100 images given a figure like this, about {percent} should be benign.",
    "malignant": "Of 100 images given a figure like this, about {percent} should be malignant.",
    "normal": "Of 100 images given a figure like this, about {percent} should show no lesion.",
}
MEANING_FITTED = "The figures were fitted on {fitted_on}. On other machines, hospitals and patients they can be off."
MEANING_NOT_FITTED = (
    "The figure is the network's own: it was not compared with outcomes yet. Read it as a ranking of the "
    "three classes, not as a frequency."
)
MEANING_LIMITS = "It is about the image as a whole, not about how exact the outline is."

# Measurements
MEASURES_HEADING = "Measurements"
MEASURES_LESION = "Lesion"
MEASURES_MORE = "How it was measured"
MEASURES_ROWS = {
    "longest": "Longest axis",
    "perpendicular": "Perpendicular axis",
    "area": "Area",
    "taller": "Taller than wide",
    "circularity": "Circularity",
    "top": "From top of image",
    "margin": "Contour uncertain by",
}
YES, NO = "yes", "no"
PX, PX2, MM, MM2 = "{value} px", "{value} px²", "{value} mm", "{value} mm²"
WITH_MM = "{mm} ({px})"
PLUS_MINUS = "± {length}"
NOT_MEASURED = "not measured"
NO_MEASUREMENT = "± {length}: no measurement"
NO_MEASUREMENT_NOTE = (
    "Where the contour is uncertain by half the lesion's own width, the lengths are not a measurement."
)
SPACING_NONE = (
    "Pixels only: the image does not say how large a pixel is. Mark a known length with “Set scale” to get millimetres."
)
SPACING_FILE = "Millimetres by the file: {row} mm per pixel down, {column} mm across."
SPACING_MARK = "Millimetres by your mark: {row} mm per pixel; pixels are taken to be square."
SPACING_CARRIED = "Millimetres by your mark in an earlier image of this size: {row} mm per pixel. Check that it fits."
DESCRIPTOR_ROWS = {"shape": "Shape", "orientation": "Orientation", "posterior": "Posterior features"}
DESCRIPTOR_WORDS = {  # by the word of `clinic.descriptors`
    "irregular": "irregular",
    "not irregular": "not irregular",
    "parallel": "parallel",
    "not parallel": "not parallel",
    "posterior shadowing": "shadowing",
    "no posterior shadowing": "no shadowing",
}
DESCRIPTOR_NONE = "not given"
DESCRIPTORS_NOTE = "Shape, orientation and posterior features are measured; they are not a BI-RADS category."
DESCRIPTORS_NOTE_EDITED = (
    "Of an edited outline only the orientation is given: the other words were fitted to the network's outlines."
)
DESCRIPTOR_AGREEMENT = "{name}: kappa {kappa} ({low} to {high}, n = {n}) with {against}."
DESCRIPTOR_AGAINST = {
    "posterior": "the radiologists of BrEaST",
    "orientation": "the reference outlines of BrEaST",
    "shape": "the radiologists of BrEaST",
}
MEASURES_NOTE = "Measured on the network's outline, not by hand."
MEASURES_NOTE_EDITED = "Measured on the outline as it was edited by hand."
MARGIN_COVERAGE = "The margin contained {rate} of the reference contours."
MARGIN_NONE = "No margin band was measured for these weights."

# Take away
REPORT_TITLE = "Breast ultrasound: reading by BUSI"
REPORT_USE = "Research use only; not a medical device."
REPORT_MADE = "Made {date} by BUSI {version}, {model}."
REPORT_WEIGHTS = "Weights SHA-256 {sha256}."
REPORT_IMAGE = "Image {width} x {height} px, SHA-256 of its pixels {sha256}."
TEXT_VERDICT = "{verdict}. {reason}"
TEXT_LESION = "Lesion {number}: {longest} x {perpendicular}."
TEXT_NO_MEASUREMENT = "Lesion {number}: contour too uncertain to measure."
TEXT_LESIONS_MORE = "{count} more outlined."
TEXT_WARNING = "Warning: {warning}."
TEXT_MODEL = "BUSI {version}, weights {sha256}."
