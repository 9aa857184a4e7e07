"""The page's English words; those that are said of a Prediction are in `clinic.words`. `{...}` are filled by name.
`busi_model.language` lays another language over both: nothing may take a sentence from here while modules are loaded.
"""

from busi_model.clinic.words import CLASS_NAMES, OPERATING_NAMES

__all__ = ["CLASS_NAMES", "OPERATING_NAMES"]  # the page says these, too

LANGUAGE = "en"  # as HTML calls it

# Frame of the page
TITLE = "BUSI: breast ultrasound, outline and class"
HEADING = "BUSI"
SUBHEADING = "Outline, class and confidence for breast-ultrasound images"
RESEARCH_USE = "Research use only. Not a medical device. Do not base a patient's care on it."
LOOK_DARK = "Dark"
TAB_READ = "Images"  # short, all of them: they share the 390 px of a phone
TAB_ABOUT = "About"

# The server. Most users never see these
EVENT_FAILED = "The server could not do this. Load the page again, open the file anew, and repeat the step."
ADDRESS_REFUSED = "A web address stands in place of a file. Nothing is fetched from there; upload the file itself."
BUSY = "The server is busy, {before} are waiting before you. Try again in a minute; nothing was lost."
NO_SUCH_ADDRESS = "This page has no such address."
FOREIGN_SITE = "Another website asked for this. Open the page at its own address."
NO_SUCH_EVENT = "There is no such event, or it is not yours."
NO_EVENT = "No event was sent: an object of JSON is expected."
TOO_HEAVY = "What was sent has far more parts than anything that this page asks for."
TOO_LONG = "What was sent is far longer than anything that this page asks for."
LOGIN_FIRST = "Log in first."
WRONG_HOST = (
    "This page is not served under that name. Open it at the address that the program printed, or name further hosts "
    "in BUSI_ALLOWED_HOSTS."
)
TWO_LENGTHS = "The request states its length in two ways."
UPLOADED_ENOUGH = (
    "{gib:g} GiB were uploaded from your address within the last hour, as much as may lie here. Try again in an hour, "
    "or read many images with `busi predict`."
)
TOO_MANY_FILES = "More than {most} files are being uploaded at once from your address. Upload them in parts."
DISK_FULL = "The server's disk is almost full, so nothing can be uploaded now. Tell whoever runs it."
LOGIN_TEXT = "Research use only. After five wrong passwords each further try has to wait, half a minute at most."
LOGIN_WAIT = "Too many wrong passwords. Wait {seconds} s, then log in again."
HUB_TEXT = "This page is open to users of the Hugging Face Hub whom its owner lets in. Sign in to go on."
HUB_SIGN_IN = "Sign in with Hugging Face (opens a new tab)"
HUB_GO_ON = "I have signed in: go on"
HUB_SIGN_OUT = "Sign out"
HUB_NOBODY = "Nobody is signed in, or the sign-in has run out. Load the page again and sign in."
HUB_STRANGER = "You are signed in as {user}, and this page's owner has not let {user} in. Ask the owner, or sign out."
HUB_FAILED = "The Hugging Face Hub did not sign you in. Try again; if it stays so, tell this page's owner."

# Opening images
UPLOAD_LABEL = "Images: drop, click or paste"
INBOX_PROGRESS = "Upload"
INBOX_AGAIN = "Try again"
INBOX_WORDS = {
    "sending": "Uploading image {number} of {count}…",
    "large": "{name} is too large: at most 100 MB.",
    "lost": "{name} did not reach the server.",
    "none": "No file was in it.",
}
PRIVACY = (
    "Apart from DICOM, downloads carry no file name and no metadata of the image. Files are deleted after about an "
    "hour. "
    "Crop away a name that is burned into the picture before you open it."
)
EXAMPLES_HEADING = "No image at hand? Synthetic examples, drawn by a program; no patient is in them."
EXAMPLE_BUTTONS = {
    "benign": "Synthetic: benign",
    "malignant": "Synthetic: malignant",
    "normal": "Synthetic: normal",
}
CLEAR = "Close all"
REOPEN = "Undo: open {count} again"

# Worklist. The class is not in it: the next image should be looked at before its result is known.
WORKLIST = "Open images"
WORKLIST_ITEM = "Image {number}"
WORKLIST_CROP = "Image {number}, cropped"
WORKLIST_CLOSE = "Close {name}"
LEAVE_QUESTION = "Leave this page? Your images stay open for an hour in this tab; Back again leaves."
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
WAITING_LINES = (
    "Look at the image yourself first.",
    "The page then outlines the lesion and gives a verdict, with its doubts.",
    "Files are deleted after about an hour.",
)
OPENING = "Opening the image…"
ANALYSING = "Analysing…"
UNREADABLE_HEADING = "This image cannot be read"
FAILED_HEADING = "The analysis stopped"
API_NO_UPLOAD = "No uploaded image was named. Upload the file first, then name the path that the upload answered."
API_FORM = "There is no such form; one of {forms} is expected."
FAILED_TEXT = "Something went wrong on the server; the image may be fine. Open it again, or try another one."
TOO_MANY_OPEN_HEADING = "Too many images are open"
TOO_MANY_OPEN_TEXT = (
    "{n_open} are open and {n_more} more were given; a page holds {most}. Close some, or read them with `busi predict`."
)
ALL_GONE_HEADING = "The images that were open are gone"
ALL_GONE_TEXT = (
    "This page was loaded again, and the server no longer has its {count}: it was started anew, or an hour has passed. "
    "Open them again; nothing else was lost."
)
GONE_HEADING = "This image was closed"
GONE_TEXT = "Images are forgotten after about an hour, or when many are open. Open it again."
ANYWAY = "Show what the program found"
OPERATING_CHOICE = "Operating point"
# Viewer
VIEWER = "Image viewer"
VIEWER_EMPTY = "Drop images anywhere on the page, paste one, or choose files."
EXPLANATION_NOTE = (
    "Orange: where the network found most that speaks for “{name}” (Grad-CAM, coarse). "
    "It is neither the border of a lesion nor a proof."
)
EXPLANATION_FAILED = "The explanation could not be computed."
MARGIN_NOTE = "Dashed band: where the contour could reasonably lie."
IMAGE_ALT = "Ultrasound image, {width} by {height} pixels."
OVERLAY_ALT = "Ultrasound image, {width} by {height} pixels. {outlined}"

SCALE_REFUSED = "The scale was not set. {reason}"
SCALE_SHORT = "{length:.0f} px were marked; at least 10 px are expected."
SCALE_LENGTH = "The length is {length} mm; 1 to 500 mm are expected."
SCALE_IMPLAUSIBLE = "A pixel would be {found:.3g} mm; {low} to {high:g} mm are plausible."
# Take away
TAKE_HEADING = "Export"
TAKE_BUTTONS = {"overlay": "Overlay (PNG)", "mask": "Mask (PNG)", "data": "Data (JSON)", "report": "Report (PDF)"}
TAKE_FILES = {  # {date} of today; {short}: the beginning of the pixels' hash
    "overlay": "busi-{date}-{short}-overlay.png",
    "mask": "busi-{date}-{short}-mask.png",
    "data": "busi-{date}-{short}.json",
    "report": "busi-{date}-{short}.pdf",
    "seg": "busi-{date}-{short}-seg.dcm",
    "sr": "busi-{date}-{short}-sr.dcm",
    "sc": "busi-{date}-{short}-sc.dcm",
}
TAKE_DICOM = "As DICOM, with the patient's name"
TAKE_DICOM_BUTTONS = {"seg": "Outline (SEG)", "sr": "Measurements (SR)", "sc": "Picture with outline (SC)"}
TAKE_TEXT = "Text for the report"
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
ABOUT_API = "For other programs: how to call this page"
ABOUT_TRAINING = "Training"
ABOUT_COLUMNS = ("What", "Value")
ABOUT_FINGERPRINT = "Weights (SHA-256)"

# Outlines of a form
EDITOR_UNREADABLE = "The outline could not be read. Nothing was saved; reload the page and draw it again."
EDITOR_OTHER_PICTURE = "The outline belongs to another picture. Nothing was saved; reload the page."

# Reading sessions
TAB_SESSION = "Session"
ENTRY_HEADING = "Join a reading session"
ENTRY_TEXT = (
    "Type the code that the host gave you. You can stop at any time and come back with the same code, in any browser: "
    "you go on at the step where you left."
)
ENTRY_CODE = "Code"
ENTRY_ENTER = "Enter"
LEAVE = "Pause"
LEAVE_DONE = "Leave"

PSEUDONYM = "Pseudonym"
PSEUDONYM_INFO = (
    "A word of your choice, not your name and no e-mail address. With it your records can be removed later."
)
ROLE = "Role"
ROLE_NAMES = {  # by the word that is kept
    "radiologist": "radiologist",
    "radiology resident": "radiology resident",
    "surgeon or gynaecologist": "surgeon or gynaecologist",
    "sonographer": "sonographer",
    "student": "student",
    "other": "other",
}
YEARS = "Years of experience with breast ultrasound"
JOIN = "Go on"
MISSING_PROFILE = "Give a pseudonym, your role and your years of experience (0 is an answer)."

COMPARE = "Compare with the true outline"
START = "Begin with the first case"
PRACTICE_OVERLAP = "Your outline and the lesion overlap by {percent} % (Dice). Nothing of this is saved."

SESSION_KEYS = "Keys: arrows or space choose, Enter goes on to the next answer, locks and saves."
SAME_ANSWER = "Keep class, confidence and BI-RADS as I locked them"
CLASS_LABEL = "Your class"
CONFIDENCE = "Your confidence in it, 0 (a guess) to 100 (certain)"
BIRADS = "BI-RADS category (optional)"
NOT_GIVEN = "not given"
DESCRIPTORS = "Optional, of the largest lesion:"
NO_LESION = "No lesion: I have looked at the whole image"
OUTLINE_VERDICT = "The model's outline"
OUTLINE_VERDICTS = {
    "good": "Good as it is",
    "corrected": "Corrected by me",
    "wrong_place": "In the wrong place",
    "nothing_there": "Nothing is there",
}
COMMENT = "Comment (optional)"
LOCK = "Lock my reading and show the model"
SAVE_CASE = "Save and go on"
SEND_ANSWERS = "Save my answers"

MISSING_CLASS = "Not saved yet: choose your class."
MISSING_CONFIDENCE = "Not saved yet: give your confidence as a number from 0 to 100."
MISSING_VERDICT = "Not saved yet: say how the model's outline is."
MISSING_ANSWERS = "Not saved yet: answer all ten statements."
LESION_AND_NO_LESION = "Not saved yet: a lesion is outlined, and “No lesion” is ticked. Undo one of them."
CLASS_AND_NO_LESION = "Not saved yet: your class is {class_name}, but “No lesion” is ticked. Change one of them."
CLASS_AND_NOTHING = (
    "Not saved yet: your class is {class_name}, but “Nothing is there” is chosen. If the lesion lies elsewhere, choose "
    "“In the wrong place”."
)
GOOD_BUT_CHANGED = "Not saved yet: the outline is called good, but it was changed. Choose “Corrected by me”, or Reset."
CORRECTED_BUT_UNCHANGED = "Not saved yet: the outline is as the model drew it. Correct it, or choose another answer."
NOTHING_BUT_DRAWN = "Not saved yet: “Nothing is there” is chosen, but an outline was drawn. Delete it, or Reset."
CONFIRM_NO_LESION = "Not saved yet: nothing is outlined. Tick “No lesion” if that is what you mean."
OUTLINE_MENDED = "Not saved yet: {text} Look at the outline as it is now; then save it, or undo and draw it anew."
STEP_DONE = "That step was saved before. You go on here."
STEP_DIFFERS = (
    "This step was saved before with another answer, receipt {receipt}: that one counts. Your new answer was not "
    "taken; it stands below to copy."
)
STEP_CLOSED = (
    "The host closed this session before this step was saved. What you typed was not taken; it stands below to copy."
)
STEP_OVER = "This step can no longer be saved. What you typed was not taken; it stands below to copy."
SHUT_OUT = (
    "Your code opens nothing any more, so nothing was saved: the host deleted the session, removed your readings, or "
    "gave you another code. What you had typed stands below to copy; with another code it comes back into its fields."
)
UNSAVED = "Not saved: what you typed"
OUTLINE_POINTS = "Outline (x,y in pixels): {points}"
SAVED_BUT = "That step is saved. What comes next cannot be shown yet: {problem}"
NOT_REVEALED = "Your reading is locked. The model cannot be shown yet: {problem}"
NOT_REVEALED_AT_ONCE = "The model cannot be shown yet: {problem}"
SERVER_FAILED = "something went wrong on the server. Try again; if it stays so, tell the host."
TRY_AGAIN = "Try again"
PICTURE_DAMAGED = "{problem} Nothing of yours is lost. Tell the host, who can put it right; or go on without this case."
LEAVE_OUT = "Go on without this case"
LOCKED = "Another program keeps the records locked. Your entry waits for it, 15 seconds at most; leave this page open."
STEP_FAILED = "Something went wrong on the server. Your entries are still here: try once more; nothing is saved twice."

SESSION_WHO = "{session} · {reader}"
SESSION_CASE = "Case {position} of {n_cases}"
SESSION_PLACES = {
    "profile": "Before the first case",
    "familiarise": "An example first",
    "questionnaire": "All cases are read",
    "done": "Finished",
    "closed": "Closed",
}
SESSION_TASKS = {
    "profile": ("Who reads", "No name is asked. These answers are kept with your readings."),
    "familiarise": (
        "An example",
        "For each case you first say what you see. That is locked; then the model is shown, and you decide again. This "
        "picture is drawn by a program. The yellow outline lies beside the lesion: put it right, try the tools.",
    ),
    "own": ("What do you see?", "The model is not shown yet. An outline is welcome, but you may leave it out."),
    "final": ("What do you decide now?", "Your answer may differ from your first one or be the same."),
    "reveal": ("One moment", "Next the model is shown beside your reading."),
    "questionnaire": (
        "How was it to use?",
        "Ten statements on this tool (System Usability Scale, Brooke 1996). Answer at once, without long thought.",
    ),
    "done": ("Thank you", "All your readings are saved. You can close this page."),
    "closed": ("This session is closed", "The host has closed it. What you saved before is kept."),
}
SUS_ANSWERS = ("1 strongly disagree", "2", "3", "4", "5 strongly agree")
MODEL_SAYS = "The model"
OWN_LOCKED = "Your locked reading: {name}, confidence {confidence}."
OWN_BIRADS = "BI-RADS {birads}."
RECEIPT = "Saved here, receipt {receipt}."
RECEIPT_AGAIN = "It was saved before, receipt {receipt}."
SYNC_NONE = "No second copy is kept elsewhere."
SYNC_DONE = "Synced to the private dataset."
SYNC_WAITING = "Not synced yet; {waiting} waiting for the private dataset."
SYNC_PROBLEM = "Not synced yet; {waiting} waiting for the private dataset. {problem}"

# Quick feedback
FEEDBACK_HEADING = "Do you agree with the class?"
FEEDBACK_MORE = "Add details first: class, outline, comment"
FEEDBACK_EDIT = "Correct the outline"
FEEDBACK_BUTTONS = {"agree": "Agree", "disagree": "Disagree", "unsure": "Unsure"}
FEEDBACK_AGAIN = "Give another answer"
KEEP_IMAGE = "Keep the image too, so that a later model can learn from it (no name is burned in, and I may share it)"
FEEDBACK_PUT_AWAY = "I have read this"
FEEDBACK_OTHER_PICTURE = (
    "Not saved: another image came onto the screen while you clicked. Look at it, then click again."
)
FEEDBACK_NO_PICTURE = "Not saved: no result is on the screen. Open the image again."

# Results of a session
RESULTS_NONE = "No case has been finished yet."
RESULTS_TABLE = "Figures with 95 % intervals"
RESULTS_COLUMNS = ("Readers", "Figure", "Value", "95 % interval", "n", "Note")
RESULTS_SUS = "Usability (SUS, 0 to 100)"
RESULTS_COMMENTS = "Comments"
RESULTS_N_READINGS = "cases read, by {n_readers} readers"
RESULTS_OWN_RIGHT = "right before the model was shown"
RESULTS_FINAL_RIGHT = "right after it was shown"
RESULTS_CHANGED = "of the classes changed"
RESULTS_MORE = "All figures with intervals, more plots, usability and comments"
RESULTS_PLOT_ALT = "Each reader before and after the model. The figures stand in the folded table and in the downloads."
RESULTS_PLOTS_ALT = (
    "Further plots: confidence before and after the model, seconds a case. The figures stand in the table and in the "
    "downloads."
)
PLOT_ACCURACY, PLOT_CONFIDENCE, PLOT_TIME = "Accuracy", "Confidence", "Seconds a case (median)"
PLOT_OWN, PLOT_FINAL, PLOT_MODEL = "own read", "final read", "model"
PLOT_POSITION = "case, in the order of reading"
PLOT_NO_TIME = "nothing was timed"

# The host's view
TAB_HOST = "Host"
HOST_HEADING = "For the host of reading sessions"
HOST_PASSWORD = "Password"
HOST_OPEN = "Open"
HOST_LOGIN_FIRST = "Give the password first; load the page again."
HOST_NEW = "New session"
HOST_NAME = "Name of the session (readers see it)"
FILE_BOX_MORE = "Choose other files"
HOST_IMAGES = "Images: drop or choose several"
HOST_FOLDER = "or a folder on this machine (BUSI's masks in it are left out)"
HOST_TRUTH = "Truth, if known: CSV with the columns image, class"
HOST_READERS = "Readers"
HOST_SEED = "Seed of the order"
HOST_READ_FIRST = "Read first: the model is shown only after the reader's own reading is locked"
HOST_MAY_KEEP = "The images may be kept on this machine until the session is deleted; no name is burned into them"
HOST_CREATE = "Create the session"
HOST_CREATED = "The session is made. Give each reader one of the codes below."
HOST_CODES = "Codes, one a reader. Copy them now: they are not shown again."
HOST_SESSION = "Session"
HOST_CHOICE = "{name} ({made})"
HOST_REFRESH = "Refresh"
HOST_RESULTS = "Show results"
HOST_DOWNLOADS = "Prepare downloads"
HOST_ADD_READER = "Add a reader"
HOST_CLOSE = "Close the session"
HOST_SURE = {
    "close": "Close this session? Its readers can save nothing more, and it cannot be opened again.",
    "renew": "Make a new code for this reader? The old one ends at once, also in the middle of a case.",
    "remove": "Remove all records of this reader, here and wherever copies are? This cannot be undone.",
    "delete": "Delete this session with all its records and pictures? This cannot be undone.",
    "forget": "Remove this feedback? This cannot be undone.",
}
HOST_UNCHANGED = "Nothing was changed."
HOST_LEFT_OUT = (
    "Readers went on without case {cases}, whose picture is damaged on the server. Make a session with the same image "
    "again: that puts it right here too."
)
HOST_NO_STUDY = "study.csv, the reader study, is not among the files: {reason}."
HOST_CONFLICTS = "{count} of them differ from the known truth, which won: see conflicts.csv."
HOST_TWO_TRUTHS = "{name}: the CSV says {csv}, its folder says {folder}. Correct one of the two; no session was made."
HOST_CLOSED = "The session is closed: nothing more is taken, everything saved is kept."
HOST_FILES = "Downloads"
HOST_MORE = "Lost code, removal, deletion, quick feedback"
HOST_NUMBER = "Reader's number"
HOST_RENEW = "Make a new code"
HOST_PSEUDONYM = "Pseudonym of a reader"
HOST_REMOVE = "Remove this reader's records"
DELETIONS_HEADING = "Deletions that are not finished; they are worked off by themselves:"
DELETED = {
    "session": "The session is deleted: {n_records} records and {n_pictures} pictures.",
    "reader": "{n_records} records of the reader were removed.",
    "feedback": "{n_records} feedback was removed, with {n_pictures} pictures.",
}
DELETED_PICTURES_LEFT = "{count} pictures are still on the disk, which does not let them go; it is tried again."
DELETED_LOG_LEFT = (
    "Old text may still stand in the database's log file, because another program reads; it is emptied after that."
)
DELETED_COPIES_LEFT = (
    "{count} copies in the private dataset are being removed; they are looked for once more after a quarter of an hour."
)
DELETED_COPIES_OUT_OF_REACH = (
    "{count} copies may lie in a private dataset that this program is not set to reach: start it with BUSI_SYNC_REPO "
    "and HF_TOKEN."
)
DELETED_COPIES_WHERE = (
    "They are in {datasets}; where this program's token does not reach, start it once with that name in BUSI_SYNC_REPO."
)
DELETED_COPIES = "{count} copies in the private dataset are removed too."
DELETED_NO_COPIES = "No copy had left this machine."
HOST_CONFIRM = "Type the session's name to delete it"
HOST_DELETE = "Delete the session and all its records"
HOST_CONFIRM_FIRST = "Type the session's name exactly, then press Delete."
HOST_RECEIPT = "Receipt of a quick feedback"
HOST_FORGET = "Remove this feedback"
HOST_FEEDBACK = "Download all quick feedback"
HOST_EXPORTED = "Cases in the ZIP, in BUSI's layout: {n_cases}. Unpack it for train.py --data."
HOST_SKIPPED = "{count} left out: {reason}."
HOST_CHOOSE_FIRST = "Choose a session first."
HOST_NO_SESSION = "There is no session yet."
HOST_NO_FOLDER = "There is no such folder on this machine. Check the spelling."
HOST_NO_IMAGES = "No image was chosen. Drop some, or name a folder that holds PNG, JPEG, BMP, TIFF, WebP, GIF or DICOM."
HOST_BAD_IMAGE = "{name}: {error} No session was made."
HOST_NAMES_ALIKE = "{name}: another row's name differs only in signs that an upload drops. Rename one of the two."
HOST_NO_TRUTH_MATCHES = "No image has a row in the CSV. Its column image must hold the files' names, such as scan1.png."
HOST_FAILED = "Something went wrong on the server; what was saved before is kept. Try once more."
HOST_NOT_HERE_YET = "not here yet"
HOST_COLUMNS = ("No.", "Pseudonym", "Role", "Years", "Cases", "Now at", "Last seen (UTC)")
HOST_CAPTION = "{name}: {n_cases} cases, {how}"
HOST_CAPTION_CLOSED = "{name}: {n_cases} cases, {how}, closed"
HOST_WITH_READ_FIRST = "read first"
HOST_WITHOUT_READ_FIRST = "model shown at once"
HOST_STAGES = {
    "profile": "not begun",
    "familiarise": "example",
    "own": "own read",
    "reveal": "final read",
    "final": "final read",
    "questionnaire": "questionnaire",
    "done": "finished",
    "closed": "closed",
}
HOST_CALIBRATE = "Calibrate on these cases"
CALIBRATING = (
    "An operating point is being fitted to this session's cases of known class: a minute for about 100 images, more on "
    "a busy machine. It is shown here; leave this page open. Everything else can be used meanwhile."
)
CALIBRATED = "The operating point is fitted: it can be downloaded below."
CALIBRATED_TOO_FEW = (
    "{n_cases} cases can be used to calibrate; at least {least} are needed. With fewer, keep the operating point that "
    "the weights bring, or make a session with more images of known class."
)
CALIBRATED_ELSEWHERE = (
    "This program came without what calibration needs. The ZIP holds the {n_cases} cases: where pip install '.[train]' "
    "was run in BUSI's folder, unpack it and run: busi calibrate --data reading-session --out operating-point.json"
)
CALIBRATED_CAPTION = "{name}: operating point fitted on {n_images} cases"
CALIBRATED_COLUMNS = ("Figure (95 % interval)", "As the weights are", "Fitted")
CALIBRATED_KEPT = "What these cases could not tell stays as the weights brought it: {kept}."
CALIBRATED_MIX = (
    "The probabilities assume the classes as they are mixed in this session: {mix}. Among patients who come in another "
    "mix, as in daily practice, they will be off."
)
CALIBRATED_JUDGED = (
    "Each fifth of the cases was judged by an operating point fitted on the others. Where the intervals of both "
    "columns overlap, so few cases show no difference. Nothing is known of patients here: where several pictures are "
    "of one, the intervals are too narrow."
)
CALIBRATED_USE = (
    "Whoever starts this page names the file in the setting BUSI_OPERATING_POINT. It belongs to these weights only."
)

# The viewer: buttons, and what its status line says
VIEWER_BUTTONS = {  # action: words, key
    "outline": ("Outline", "O"),
    "model": ("Model's outline", "I"),
    "margin": ("Margin", "M"),
    "axes": ("Axes", "A"),
    "explain": ("Explain", "E"),
    "beside": ("Side by side", "B"),
    "edit": ("Edit outline", "D"),
    "window": ("Brightness", "W"),
    "ruler": ("Ruler", "L"),
    "scale": ("Set scale", "K"),
    "crop": ("Crop", "C"),
    "fit": ("Fit", "0"),
    "full": ("100 %", "1"),
    "reset": ("Reset", "R"),
    "keep": ("Keep zoom", "Z"),
    "keys": ("Keys", ""),
}
VIEWER_HELP_HEADING = "Mouse, touch and keyboard"
VIEWER_HELP = (
    "Pinch, + and -, or the wheel once the picture was clicked (or with Ctrl): zoom. Drag or arrow keys: move; with a "
    "tool in hand drag with the middle button.",
    "Brightness mode, or drag with the right button: up and down changes brightness, left and right contrast.",
    "P and N: previous and next image. The keys work while no text field has the focus; Keys turns them off.",
    "Ruler, Set scale, Crop: drag from one end to the other, or click both; or move the picture with the arrow keys "
    "under the cross and press Enter twice. Delete takes the last one away, Escape stops.",
    "Edit outline: drag a point to move it, click a line to add one, double-click or Delete to remove it. Arrow keys "
    "move a point by 1 px, with Shift by 10. Draw: one stroke round a lesion, or from the outline back to the outline.",
    "Films: arrow keys, comma and full stop go from frame to frame, the space bar plays.",
)
VIEWER_ORIGINAL, VIEWER_OVERLAY = "Original", "With outline"
VIEWER_LENGTH = "Length between the marks in millimetres"
VIEWER_SCALE_NEXT = "also for the next images of this size"
VIEWER_APPLY, VIEWER_FORGET_SCALE = "Apply", "Remove scale"
VIEWER_TEXTS = {
    "zoom": "{zoom} %",
    "alt": "Ultrasound image",
    "window": "Brightness {level}, contrast {width}",
    "first": "Set scale: mark one end of a known length on the depth scale.",
    "second": "Now mark the other end.",
    "ruler": "Ruler: drag from one end to the other.",
    "ruled": "Ruler: {length}.",
    "mm": "{value} mm",
    "px": "{value} px",
    "crop": "Crop: drag a box round the part that is to be judged.",
    "crop_second": "Crop: now the opposite corner.",
    "cropped": "Crop: {width} by {height} px. Drag a corner to change it, or drag the box.",
    "crop_small": "Crop: {width} by {height} px; at least 64 by 64 are needed.",
    "part": "Judge part {number}",
    "explaining": "Computing the explanation…",
    "frame": "Frame {number} of {frames}",
    "play": "Play",
    "pause": "Pause",
    "judge": "Judge all frames",
    "judging": "Judging: {judged} of {frames}",
    "worst": "Most suspicious: frame {number}, {percent} %",
    "canvas": "Image with outlines. Tab goes from point to point, arrow keys move a point.",
    "lesion": "Outline {number}, {points} points. Enter chooses it.",
    "point": "Point {number} at {x}, {y}",
    "drawing": "Draw round the lesion in one stroke, or from the outline back to the outline. Escape stops.",
    "too_few_points": "An outline needs three points. Delete the lesion instead.",
    "stroke_too_short": "That stroke encloses nothing. Draw once round the lesion.",
    "no_lesion": "Nothing is outlined.",
    "one_lesion": "1 lesion is outlined.",
    "lesions": "{count} lesions are outlined.",
}
EDIT_TOOLBAR = "Outline tools"
EDIT_BUTTONS = {
    "draw": "Draw",
    "smooth": "Smooth",
    "delete_point": "Delete point",
    "delete_lesion": "Delete lesion",
    "undo": "Undo",
    "redo": "Redo",
    "reset": "Reset",
    "done": "Done",
}
OUTLINE_REPAIRED_NOTE = "The outline was repaired. {text} Undo brings yours back."
OUTLINE_REFUSED = "The outline was not taken over. {reason}"
CROP_OUTSIDE = "The box {x0}, {y0}, {x1}, {y1} does not lie in the {width}x{height} px image."
CROP_JUDGE = "Judge this part"
CROP_SUGGESTED = "Parts of the picture that can be judged on their own:"
CROPPED_NOTE = "Cropped from another image: columns {left} to {right}, rows {top} to {bottom}."
FILM, FILM_SLIDER = "Frames", "Frame"
FRAME_LOST = "The frame could not be read. {reason}"
