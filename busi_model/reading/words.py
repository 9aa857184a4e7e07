"""Every sentence that the store says to a reader or a host, by code. `{...}` are filled by name. Reports and
backups that it writes stay English."""

from busi_model.names import CLASS_NAMES

_STILL_THERE = "what was saved before is still there. Then try again."
_CLASSES = ", ".join(CLASS_NAMES)

PARTS = {"not_saved": "Not saved.", "not_read": "The records cannot be read.", "no_reason": "no reason", "none": "none"}
ERRORS = {
    # The disk and the database
    "locked": "{what} Another program keeps the records locked, such as one that copies them; {waited:.0f} s were "
    "waited. What was saved before is still there. Try again when that program is done.",
    "unconfirmed": "The disk did not confirm the record: it may be saved or not. Check the disk, then try again; "
    "nothing is saved twice.",
    "disk_full": f"{{what}} The disk is full. Free some space; {_STILL_THERE}",
    "disk_fails": f"{{what}} The disk does not take the record. It may be full or failing; {_STILL_THERE}",
    "disk_read_only": "{what} The records can be read but not written. Ask for the right to write to the folder of "
    f"records; {_STILL_THERE}",
    "not_opened": "{what} The file of records cannot be opened. Check that its folder exists and may be written; "
    + _STILL_THERE,
    "damaged": "{what} The file of records is damaged. Stop the program and restore it from a copy; " + _STILL_THERE,
    "no_database": "{what} The file of records is no database. Stop the program and restore it from a copy; "
    + _STILL_THERE,
    "database_says": f"{{what}} The database says: {{error}}; {_STILL_THERE}",
    "disk_says": "Not saved. The disk says: {reason}; what was saved before is still there. Free some space or allow "
    "writing, then try again.",
    "newer_form": "The records were brought into a newer form by a newer program (form {found}, this one knows "
    "{known}). Nothing was changed by this program: stop it and start the newer one.",
    "no_home": "This user has no home folder to keep records in. Name a folder in BUSI_STORE.",
    "files_not_written": "The files cannot be written ({reason}). Free some space, then try again.",
    "export_not_empty": "The folder of the export is not empty. Name a new one; nothing was written.",
    "export_not_written": "The export cannot be written ({reason}). Free some space, then try again.",
    # Pictures
    "picture_missing": "The picture is missing on the server.",
    "picture_unreadable": "The picture is damaged on the server: it cannot be read.",
    "picture_changed": "The picture is damaged on the server: it is not the one that was kept.",
    "picture_deleted": "Not saved. The picture was deleted meanwhile. Save again.",
    "picture_other": "Not saved. The picture to keep is not the one that was judged. Open it again.",
    "no_picture": "This step has no picture.",
    "not_gray": "An image of type {kind} and shape {shape} was given; uint8 (H, W) is expected.",
    # Records
    "saved_before": "This step was saved before as {receipt}, with other content; that one counts, and this one was "
    "not taken. Copy what you want to keep, then load the page again.",
    "no_receipt": "No feedback has this receipt. Compare its eight letters and digits.",
    "no_key": "Not saved. The page sent no valid key. Load it again.",
    "unfit": "Not saved. {problems}.",
    "unfit_more": "Not saved. {problems} ({more} more).",
    "ten_answers": "The questionnaire needs ten answers from 1 to 5.",
    # Outlines
    "image_size": "The image is said to be {width}x{height} px. Open it again.",
    "no_points": "The outlines are no lists of points. Draw them anew.",
    "many_outlines": "{found} outlines were drawn; at most {most} are kept. Delete some.",
    "many_points": "The outline has {found} points; at most {most} are kept. Smooth it.",
    "few_points": "An outline has {found} points; at least 3 are needed. Draw it anew.",
    "odd_point": "A point of the outline is not a number, or lies far away. Draw the outline anew.",
    "to_and_fro": "The line goes to and fro across the image. Draw the outline of the lesion, in one stroke.",
    "many_crossings": "The line crosses itself more than {most} times; an outline crosses nothing. Draw it anew, in "
    "one stroke.",
    "heaped": "Very many lines lie over one another. Draw the outline anew, in one stroke.",
    "crosses_itself": "An outline crosses itself. Let it be repaired, or draw it anew.",
    "leaves_image": "An outline leaves the image ({width}x{height} px). Let it be repaired.",
    "too_small": "An outline is smaller than 4 pixels. Delete it or draw it larger.",
    "no_area": "An outline encloses no area inside the image. Delete it or draw it anew.",
    "two_sizes": "Two masks of {one} and {other} cannot be compared.",
    "mask_too_large": "The mask is {width}x{height} px; that is too large.",
    "mask_no_png": "The mask is not a PNG picture.",
    # Who may enter
    "no_code": "This is not a code: three groups of five letters and digits are expected, as the host gave.",
    "unknown_code": "This code opens no session. Check the letters, or ask the host for a new one.",
    "too_many_attempts": "Too many wrong codes or passwords. Wait {seconds} s, then type it again.",
    "wrong_password": "The password is wrong.",
    # A reader's steps
    "other_pseudonym": "This code is bound to the pseudonym that was chosen first. Keep that one.",
    "pseudonym_taken": "Another reader of this session has this pseudonym. Choose another one.",
    "pseudonym_first": "Choose a pseudonym first.",
    "not_next": "Not saved. This is not your next step. Load the page again to go on from there.",
    "readable_again": "This case's picture can be read again. Load the page again to read it.",
    "reader_gone": "This session or this reader was deleted. Nothing is kept any more; ask the host.",
    "closed_by_host": "Not saved. The host has closed this session; what you saved before is kept.",
    "outline_of_other_size": "Not saved. The outline was drawn on {width}x{height} px, this case has "
    "{case_width}x{case_height}. Load the page again.",
    # The host
    "manifest_unread": "The manifest cannot be read. A CSV file in UTF-8 is expected; save it as one.",
    "manifest_columns": "The manifest has the columns {found}; image and class are expected. Name them so in its first "
    "line.",
    "manifest_line": "The manifest's line {number} gives {image} the class {class_name}; "
    f"one of {_CLASSES} is expected. Correct that line.",
    "manifest_twice": "The manifest's line {number} gives an image a second class. Keep one.",
    "unknown_truth": f"A case's truth must be one of {_CLASSES}, or unknown.",
    "many_cases": "A session has at most {most} cases. Make two sessions.",
    "no_cases": "A session needs at least one image. Choose some.",
    "images_deleted": "Not saved. Another session with the same images was just deleted. Save again.",
    "no_reader": "There is no such reader. Load the page again.",
    "no_pseudonym": "Nobody of this pseudonym reads in this session. Check the spelling.",
    "no_session": "There is no such session; it may have been deleted. Load the page again.",
    "session_closed": "This session is closed. Make a new one.",
    # Copies on the Hub
    "dataset_public": "The dataset is public, so nothing is copied to it. Make it private in its settings on the hub.",
}

# What a field is called where people fill it in; others bear their own name.
FIELDS = {
    "name": "name of the session",
    "n_readers": "number of readers",
    "images_may_be_kept": "images",
    "seed": "seed of the order",
    "years": "years of experience",
    "class_name": "class",
    "birads": "BI-RADS category",
}
_NUMBER, _WHOLE, _TEXT = "a number is expected", "a whole number is expected", "text is expected"
PROBLEMS = {  # pydantic's name of a problem -> words, with what it says of the limits
    "string_too_long": "at most {max_length} characters are kept; shorten the text",
    "string_too_short": "at least {min_length} characters are needed",
    "greater_than_equal": "at least {ge:g} is expected",
    "less_than_equal": "at most {le:g} is expected",
    "literal_error": "one of {expected} is expected",
    "too_short": "{min_length} are expected, {actual_length} were given",
    "too_long": "{max_length} are expected, {actual_length} were given",
    "missing": "nothing was given",
    "extra_forbidden": "there is no such field",
    "finite_number": "a finite number is expected",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": _WHOLE,
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "bool_type": "yes or no is expected",
    "bool_parsing": "yes or no is expected",
}
CONTRADICTIONS = {  # of fields that do not fit each other
    "mask_of_two_sizes": "the model's mask and its outline are of two sizes",
    "corrected_not_drawn": "the outline is called corrected, but none was drawn",
    "drawn_anyway": "the outline is called {verdict}, but another one was drawn",
    "good_but_deleted": "the outline is called good, but all lesions were deleted",
    "confirm_no_lesion": "no lesion is outlined; confirm that there is none",
    "other_image": "the outline was drawn on an image of another size",
    "letters": "letters are expected",
    "plain_word": "letters, digits, spaces, - and _ are allowed; give no name and no e-mail address",
    "images_kept": "tick that they may be kept on this machine; a session needs them",
}
REPAIRS = {  # what was done to an outline
    "cut_apart": "an outline crossed itself and was cut apart where it did",
    "cut_off": "what lay outside the image was cut off",
}
SKIPPED = {  # why a picture is not in the export
    "gone": "the picture is gone",
    "damaged": "the picture is damaged",
    "two_truths": "two sessions give it different truths",
    "no_class": "nobody gave a class that counts",
    "divided": "the readers are divided on the class",
    "normal_not_judged": "called normal, but the model's outline was not judged",
    "normal_outlined": "called normal, but a lesion is outlined",
    "known_not_outlined": "known to be {class_name}, but nobody outlined a lesion",
    "called_not_outlined": "called {class_name}, but no lesion is outlined",
    "wrong_not_drawn": "the outline was called wrong and none was drawn",
}
SYNC = {  # how copies fare
    "unknown": "How many copies are on their way is not known.",
    "refused": "The dataset refused {count} of the records; they are kept here.",
    "unreachable": "The dataset cannot be reached ({kind}).",
    "wait": "The dataset asks to wait; records go on being saved here.",
    "token": "The dataset refuses the token ({status}). Check {variable}.",
    "error": "The dataset answered with an error ({status}).",
}
FORGETFUL = (
    "Nothing that you enter here will last: this Space has neither a persistent disk nor a private dataset to copy to, "
    "so all records are lost when it restarts. Whoever runs it can set {dataset} and {token}, or add a disk."
)
