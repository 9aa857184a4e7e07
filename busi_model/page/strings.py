"""Every English word of the page, so that a translation is one file. `{...}` are filled by name."""

TITLE = "BUSI: breast ultrasound, outline and class"
HEADING = "BUSI"
SUBHEADING = "Outline, class and confidence for one breast-ultrasound image"
RESEARCH_USE = "Research use only. Not a medical device. Do not base a patient's care on it."

TAB_READ = "Read an image"
TAB_ABOUT = "About this model"

UPLOAD_LABEL = "Image: drop, click or paste"
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

WAITING_HEADING = "The result appears here"
WAITING_TEXT = (
    "Open one image. It is analysed at once: lesions are outlined in the image's own pixels, the class is "
    "given in words with its probability, and anything that makes the result doubtful is said beside it."
)
OPENING = "Opening the image…"
ANALYSING = "Analysing…"
REFUSED_HEADING = "This image cannot be read"
FAILED_HEADING = "The analysis stopped"
FAILED_TEXT = "Something went wrong on the server; the image may be fine. Open it again, or try another one."

CLASS_NAMES = {"benign": "Benign", "malignant": "Malignant", "normal": "Normal"}
HEADLINE = "{name} pattern, {percent}"
HEADLINE_UNCERTAIN = "Uncertain. Likeliest is a {name} pattern, {percent}"
OUTLINED = {0: "No region is outlined.", 1: "One region is outlined."}
OUTLINED_SEVERAL = "{count} regions are outlined, numbered from the largest."
WARNINGS_HEADING = "Before you rely on this"

PROBABILITIES_CAPTION = "Probability of each class"
COLUMN_CLASS, COLUMN_PROBABILITY = "Class", "Probability"
PERCENT = "{percent} %"
PERCENT_OVER, PERCENT_UNDER = "over 99 %", "under 1 %"

MEANING_HEADING = "What the figure means"
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

IMAGE_ALT = "Ultrasound image, {width} by {height} pixels."
OVERLAY_ALT = "Ultrasound image, {width} by {height} pixels. {outlined}"
DOWNLOAD_OVERLAY, DOWNLOAD_MASK, CLEAR = "Save image", "Save mask", "Clear"
OVERLAY_FILE, MASK_FILE, IMAGE_FILE = "busi-overlay.png", "busi-mask.png", "busi-image.png"

ABOUT_HEADING = "About this model"
ABOUT_NO_CARD = "These weights come without a model card. What is stored in them:"
ABOUT_OPERATING_POINT = "Operating point"
ABOUT_TRAINING = "Training"
ABOUT_FIGURES = "Figures"
ABOUT_NOTHING = "nothing is stored"
ABOUT_COLUMNS = ("What", "Value")
ABOUT_FINGERPRINT = "Weights (SHA-256)"

# Outline editor
EDITOR_WORDS = {
    "toolbar": "Outline tools",
    "canvas": "Image with outlines. Tab goes from point to point, arrow keys move a point.",
    "draw": "Draw lesion",
    "smooth": "Smooth",
    "delete_point": "Delete point",
    "delete_lesion": "Delete lesion",
    "undo": "Undo",
    "redo": "Redo",
    "reset": "Reset",
    "zoom_in": "Zoom in",
    "zoom_out": "Zoom out",
    "help_heading": "How to edit an outline",
    "help": (
        "Drag a point to move it, click a line to add one, double-click or Delete to remove it. Arrow keys move a "
        "point by 1 px, with Shift by 10. Pinch, or Ctrl and the wheel, to zoom; drag the picture to move it."
    ),
    "lesion": "Outline {number}, {points} points. Enter chooses it.",
    "point": "Point {number} at {x}, {y}",
    "drawing": "Draw round the lesion in one stroke. Escape stops.",
    "too_few_points": "An outline needs three points. Delete the lesion instead.",
    "stroke_too_short": "That stroke encloses nothing. Draw once round the lesion.",
    "no_lesion": "Nothing is outlined.",
    "one_lesion": "1 lesion is outlined.",
    "lesions": "{count} lesions are outlined.",
    "zoom": "Zoom {percent} %.",
}
EDITOR_UNREADABLE = "The outline could not be read. Nothing was saved; reload the page and draw it again."
EDITOR_OTHER_PICTURE = "The outline belongs to another picture. Nothing was saved; reload the page."
