"""Every English word of the page, so that a translation is one file. `{...}` are filled by name."""

# Frame of the page
TITLE = "BUSI: breast ultrasound, outline and class"
HEADING = "BUSI"
SUBHEADING = "Outline, class and confidence for breast-ultrasound images"
RESEARCH_USE = "Research use only. Not a medical device. Do not base a patient's care on it."
TAB_READ = "Read images"
TAB_ABOUT = "About this model"

# Opening images
UPLOAD_LABEL = "Images: drop, click or paste"
PRIVACY = (
    "Downloads hold pixels only, no file name and no metadata; files are deleted after about an hour. "
    "Crop away a name that is burned into the picture before you open it."
)
EXAMPLES_HEADING = "No image at hand? Synthetic examples, drawn by a program; no patient is in them."
EXAMPLE_BUTTONS = {
    "benign": "Synthetic: benign",
    "malignant": "Synthetic: malignant",
    "normal": "Synthetic: normal",
}
SYNTHETIC_NOTE = "Synthetic picture, drawn by a program: it shows how the page works, not how good the model is."
CLEAR = "Close all"

# Worklist. The class is not in it: the next image should be looked at before its result is known.
WORKLIST = "Open images"
WORKLIST_ITEM = "Image {number}"
WORKLIST_PREVIOUS, WORKLIST_NEXT = "Previous", "Next"
CASE_STATES = {
    "waiting": "waiting",
    "analysing": "analysing…",
    "done": "analysed",
    "uncertain": "uncertain",
    "check": "see warnings",
    "refused": "not judged",
    "unreadable": "cannot be read",
    "failed": "stopped",
}

# Messages in place of a result
WAITING_HEADING = "The result appears here"
WAITING_TEXT = (
    "Open one image or several. Each is analysed at once: lesions are outlined in the image's own pixels, the class "
    "is given in words with its probability, and anything that makes the result doubtful is said beside it. "
    "Look at the image yourself first."
)
OPENING = "Opening the image…"
ANALYSING = "Analysing…"
UNREADABLE_HEADING = "This image cannot be read"
FAILED_HEADING = "The analysis stopped"
FAILED_TEXT = "Something went wrong on the server; the image may be fine. Open it again, or try another one."
GONE_HEADING = "This image was closed"
GONE_TEXT = "Images are forgotten after about an hour, or when many are open. Open it again."
REFUSED_HEADING = "This picture cannot be judged"
REFUSED_TEXT = "No class and no outline are shown, because for such a picture they mean nothing."
REFUSED_REASONS = "Why, and what to do"
ANYWAY = "Analyse anyway"
ANYWAY_NOTE = "Shown at your request: the program would not judge this picture."

# Result
CLASS_NAMES = {"benign": "Benign", "malignant": "Malignant", "normal": "Normal"}
HEADLINE = "{name} pattern, {percent}"
HEADLINE_OPEN = "Uncertain: {names}"
HEADLINE_UNCERTAIN = "Uncertain. Likeliest is a {name} pattern, {percent}"
CLASS_OR = " or "
LIKELIEST = "Likeliest is a {name} pattern, {percent}, but the other cannot be ruled out. Treat the class as open."
COVERAGE = "The classes named as possible held the true one in {rate} of held-out images."
OUTLINED = {0: "No region is outlined.", 1: "One region is outlined."}
OUTLINED_SEVERAL = "{count} regions are outlined, numbered from the largest."
WARNINGS_HEADING = "Before you rely on this"
WARNINGS_COUNT = "Warnings: {count}."
WARNINGS = {  # code: what it is, what to do
    "blank": ("Blank picture", "Export the frame again and check that it shows tissue."),
    "not_ultrasound": ("Probably not a breast ultrasound image", "Open a B-mode still image of the breast."),
    "colour": ("Colour in the picture", "Use the frame without Doppler or elastography; the network learnt from gray."),
    "marks": ("Calipers or text in the picture", "Use the clean frame if it was saved: marks can sway the result."),
    "split_screen": ("Two pictures in one", "Crop to one of the pictures and open it again."),
    "heads_disagree": ("Outline and class contradict each other", "Rely on neither; decide from the image."),
    "low_confidence": ("Close classes", "Treat the class as open, whatever stands first."),
    "uncertain": ("More than one class is possible", "Treat the class as open, whatever stands first."),
    "first_frame": ("Several frames in the file", "To read another frame, export it on its own."),
    "exif_turned": ("Turned picture", "Check that the probe is at the top."),
    "rescaled": ("Gray levels stretched", "Compare brightness with the original before you trust it."),
}
PROBABILITIES_CAPTION = "Probability of each class"
COLUMN_CLASS, COLUMN_PROBABILITY = "Class", "Probability"
PERCENT = "{percent} %"
PERCENT_OVER, PERCENT_UNDER = "over 99 %", "under 1 %"
RATE = "{value} (95 % interval {low} to {high}, n = {n})"

MEANING_HEADING = "What the figure means"
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
MEANING_FITTED = "That was fitted on: {fitted_on}. On other machines, hospitals and patients it can be off."
MEANING_NOT_FITTED = (
    "The figure is the network's own: it was not compared with outcomes yet. Read it as a ranking of the "
    "three classes, not as a frequency."
)
MEANING_LIMITS = "It speaks of the image as a whole, not of how exact the outline is."

OPERATING_HEADING = "Operating point"
OPERATING_CHOICE = "Operating point in use"
OPERATING_NAMES = {"balanced": "balanced", "sensitive": "sensitive"}
OPERATING_VERDICT = {
    True: "Suspicious of malignancy: the malignant probability, {probability}, reaches the {name} threshold, {limit}.",
    False: "Not suspicious of malignancy: the malignant probability, {probability}, is below the {name} threshold, "
    "{limit}. That does not rule malignancy out.",
}
OPERATING_RATES = "Measured at this threshold: sensitivity {sensitivity}; specificity {specificity}."
OPERATING_NONE = "No threshold for malignancy was measured for these weights: sensitivity and specificity are unknown."

# Viewer
VIEWER = "Image viewer"
VIEWER_EMPTY = "Drop images anywhere on the page, paste one, or choose files."
VIEWER_BUTTONS = {  # action: words, key
    "outline": ("Outline", "O"),
    "margin": ("Margin band", "M"),
    "axes": ("Axes", "A"),
    "explain": ("Explanation", "E"),
    "beside": ("Side by side", "B"),
    "window": ("Brightness", "W"),
    "scale": ("Set scale", "K"),
    "fit": ("Fit", "0"),
    "full": ("100 %", "1"),
    "reset": ("Reset", "R"),
    "keys": ("Keys", ""),
}
VIEWER_HELP_HEADING = "Mouse, touch and keyboard"
VIEWER_HELP = (
    "Wheel, pinch, + and -: zoom. Drag or arrow keys: move.",
    "Brightness mode, or drag with the right button: up and down changes brightness, left and right contrast.",
    "P and N: previous and next image. The keys work while no text field has the focus; Keys turns them off.",
    "Set scale: click both ends of a known length on the depth scale, or move the picture with the arrow keys "
    "under the cross and press Enter. Escape stops.",
)
VIEWER_ORIGINAL, VIEWER_OVERLAY = "Original", "With outline"
VIEWER_ZOOM = "{zoom} %"
VIEWER_WINDOW = "Brightness {level}, contrast {width}"
VIEWER_PLACE_FIRST = "Set scale: mark one end of a known length on the depth scale."
VIEWER_PLACE_SECOND = "Now mark the other end."
VIEWER_LENGTH = "Length between the marks in millimetres"
VIEWER_APPLY, VIEWER_FORGET_SCALE = "Apply", "Remove scale"
VIEWER_EXPLAINING = "Computing the explanation…"
EXPLANATION_NOTE = (
    "Orange: where the network found most that speaks for “{name}” (Grad-CAM, coarse). "
    "It is neither the border of a lesion nor a proof."
)
EXPLANATION_FAILED = "The explanation could not be computed."
MARGIN_NOTE = "Dashed band: where the contour could reasonably lie."
MARGIN_COVERAGE = "It held {rate} of the reference contours."
MARGIN_NONE = "No margin band was measured for these weights."
IMAGE_ALT = "Ultrasound image, {width} by {height} pixels."
OVERLAY_ALT = "Ultrasound image, {width} by {height} pixels. {outlined}"

# Measurements
MEASURES_HEADING = "Measurements"
MEASURES_COLUMNS = (
    "Lesion",
    "Area",
    "Longest axis",
    "Perpendicular axis",
    "Taller than wide",
    "Circularity",
    "From top of image",
    "Contour may lie",
)
YES, NO = "yes", "no"
PX, PX2, MM, MM2 = "{value} px", "{value} px²", "{value} mm", "{value} mm²"
WITH_MM = "{mm} ({px})"
PLUS_MINUS = "± {length}"
NOT_MEASURED = "not measured"
SPACING_NONE = (
    "Pixels only: the image does not say how large a pixel is. Mark a known length with “Set scale” to get millimetres."
)
SPACING_FILE = "Millimetres by the file: {row} mm per pixel down, {column} mm across."
SPACING_MARK = "Millimetres by your mark: {row} mm per pixel; pixels are taken to be square."
SCALE_REFUSED = "The scale was not set. {reason}"
MEASURES_NOTE = "Measured on the network's outline, not by hand."

# Take away
TAKE_HEADING = "Take away"
TAKE_BUTTONS = {"overlay": "Overlay (PNG)", "mask": "Mask (PNG)", "data": "Data (JSON)", "report": "Report (PDF)"}
TAKE_FILES = {
    "overlay": "busi-overlay.png",
    "mask": "busi-mask.png",
    "data": "busi-data.json",
    "report": "busi-report.pdf",
}
TAKE_TEXT = "Text for the report"
REPORT_TITLE = "Breast ultrasound: reading by BUSI"
REPORT_MODEL = "Model {version}, weights SHA-256 {sha256}."
REPORT_MEASURES = "Measurements (lesion by lesion, on the network's outline)"

# About this model
ABOUT_HEADING = "About this model"
ABOUT_NOT_MEASURED = "Nothing was measured for these weights."
ABOUT_DATA_SET = "{images} images ({classes}) in {groups} groups of near-duplicates, one lesion or one patient."
ABOUT_SAME_RECIPE = "Measured with other weights of the same recipe, trained without these images."
ABOUT_OTHER_RECIPE = "Measured with other weights, of another recipe."
ABOUT_SAME_WEIGHTS = "Measured with these very weights."
ABOUT_FIGURES = "Figures"
ABOUT_FIGURE_COLUMNS = ("Figure", "Value", "95 % interval")
ABOUT_FIGURE_NAMES = {
    "dice_mean": "Lesion Dice, mean",
    "dice_median": "Lesion Dice, median",
    "iou_mean": "Lesion IoU, mean",
    "missed": "Lesions missed (Dice below 0.1)",
    "normal_outlined": "Normal images outlined by mistake",
    "dice_mean_benign": "Lesion Dice, benign",
    "dice_mean_malignant": "Lesion Dice, malignant",
    "dice_mean_small": "Lesion Dice, small lesions",
    "dice_mean_medium": "Lesion Dice, medium lesions",
    "dice_mean_large": "Lesion Dice, large lesions",
    "hd95_median_px": "Contour distance HD95, median, px",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1_macro": "Macro F1",
    "auc_malignant": "AUC, malignant against the rest",
    "auc_benign": "AUC, benign against the rest",
    "auc_normal": "AUC, normal against the rest",
    "malignant_sensitivity_at_90_specificity": "Malignant sensitivity at 90 % specificity",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score (0 to 2)",
}
ABOUT_CONFUSION = "Confusion matrix: images of each true class, by what the model said"
ABOUT_TRUTH_SAID = "True class ↓, said →"
ABOUT_RELIABILITY = "Reliability: how often a stated confidence was right"
ABOUT_RELIABILITY_PLOT = "Reliability plot, {title}. The table after it holds the same figures."
ABOUT_RELIABILITY_AXES = ("stated confidence", "share that was right")
ABOUT_RELIABILITY_COLUMNS = ("Confidence", "Mean", "Right", "Images")
ABOUT_OPERATING = "Operating points"
ABOUT_OPERATING_COLUMNS = (
    "Operating point",
    "Suspicious from",
    "Sensitivity",
    "Specificity",
)
ABOUT_CLASS_RELIABILITY = "What became of images by the probability of each class"
ABOUT_CLASS_RELIABILITY_COLUMNS = ("Class", "Probability", "Truly of the class")
ABOUT_CLASS_SET = "A class counts as possible from a probability of {limit} on; the true one was possible in {rate}."
ABOUT_FITTED = "Fitted on {fitted_on}."
ABOUT_CARD = "The whole model card"
ABOUT_TRAINING = "Training"
ABOUT_COLUMNS = ("What", "Value")
ABOUT_FINGERPRINT = "Weights (SHA-256)"
