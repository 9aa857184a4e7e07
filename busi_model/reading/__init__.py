"""What readers say is kept: quick feedback, reading sessions, corrected outlines. Knows no torch and no gradio.

The page hands in plain values (strings, numbers, lists of points, NumPy arrays) and gets plain values back. Each module
has one idea; imports go down these lists:

words     Every sentence that keeping can come to.

errors    `ReadingError` and its kinds. str(error) is a sentence for the reader: what was found, what to do. It never
          holds a path. StoreError (nothing was saved: disk full, read-only, damaged; keep the text and try again),
          RecordError (an entry is refused; names the field), OutlineError (an outline is refused), ConflictError (this
          step or key was saved already, with other content), StageError (not this step's turn, or the session is
          closed), PictureError (a stored picture is missing or damaged),
          CodeError (unknown code, another reader's code), TooManyAttempts (a CodeError; `.retry_after_s`).

outline   Polygons are lists of (x, y) in pixels of the image, pixel centres at whole numbers, as `clinic.view` draws.
          repair(polygons, width, height) -> Repaired(polygons, changed: bool, text: str): what to show and then save;
              valid outlines come back untouched; crossings are cut apart, parts outside the image are cut off, specks
              are dropped; `text` says so in words ("" when nothing changed). Raises OutlineError (NaN, too many
              points, nothing left).
          check(polygons, width, height): raises OutlineError for all that `repair` would change. Saving checks, so
              what is saved is what was shown.
          rasterise(polygons, width, height) -> bool (H, W).    dice(a, b) -> float, NaN when both are empty.
          encode_mask(mask) -> PNG bytes.    decode_mask(png) -> bool (H, W).

records   What may be kept, as frozen pydantic models. Build each with `Model.checked(field=value, ...)`, which raises
          RecordError in words. Types: ClassName "benign" | "malignant" | "normal"; BiRads "0" "1" "2" "3" "4A" "4B"
          "4C" "5" "6"; OutlineVerdict "good" | "corrected" | "wrong_place" | "nothing_there"; Role (tuple ROLES).
          Outline(polygons, width, height)                 polygons=[] means "no lesion"
          Model(class_name | None, confidence 0..1 | None, class_probabilities, outline: Outline, mask_png,
                weights_sha256, weights_revision, refused=False, warnings=(), descriptors=None)   what the model said
          OwnRead(class_name, confidence 0..100, birads=None, outline=None, descriptors=None)
          FinalRead(class_name, confidence 0..100, birads=None, outline_verdict, outline=None,
                no_lesion_confirmed=False, comment="", descriptors=None)
                outline is required for "corrected", refused for "good"; polygons [] need the confirmation
          Descriptors(shape=None, orientation=None, posterior=None)   words of `names.DESCRIPTOR_WORDS`, or nothing
          Profile(pseudonym, role, years)                  2-32 letters, digits, space, - _ ; no "@"
          Feedback(verdict "agree" | "disagree" | "unsure", model: Model, image_sha256, own_class=None,
                outline_verdict=None, outline=None, no_lesion_confirmed=False, comment="", keep_image=False)
          NewSession(name, n_readers=1, read_first=True, seed=0, images_may_be_kept=True)   the last: the host's tick
          MAX_COMMENT = 2000.

storage/   one SQLite file with pictures beside it; what is to go is worked off; backups
session/   a reading session: its host, its readers' codes, whose turn it is, what each reader does
analysis/  figures of a session, readers against the model, a study's mathematics, tables and report (intervals: the
           bootstrap, beside this folder: cases drawn again whole)
hub/       copies in a private data set on the Hub

export    export_cases(store, folder, session_ids=None) -> Exported(n_cases, skipped: {reason: n}, n_conflicts):
          BUSI's layout, conflicts.csv (readers against a known truth) and a manifest.csv whose source is "clinician";
          `train.py --data FOLDER` takes it, for training only.
          export_known(store, folder, session_id, is_seen) -> Exported: cases of known class, without outlines, for
          `busi calibrate --data FOLDER`.
"""
