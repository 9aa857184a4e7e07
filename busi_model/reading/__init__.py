"""What readers say is kept: quick feedback, reading sessions, corrected outlines. Knows no torch and no gradio.

The page hands in plain values (strings, numbers, lists of points, NumPy arrays) and gets plain values back. Each module
has one idea; imports go down this list:

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

clock     now(): the date. steady(): seconds of a clock that nobody can set, and its name. since(...): seconds that went
          by, and by how many the date was set meanwhile.

database  One SQLite file: transactions, migrations, SQLite's complaints in words. `schema` holds the tables.

pictures  Pictures(file), a Database with `images/HASH.png` beside it.     .picture(sha256) -> uint8 (H, W); raises
          PictureError.     .keep_image(gray) -> sha256.     .image_path(sha256)
          image_sha256(gray) -> str, of the pixels.

deletion  Deletions(file), a Pictures in which what is to go is worked off.
          .deletions(where) -> [Deletion(what, began_at, n_records, n_pictures, n_copies, pictures_left, log_emptied,
              copies_left, done_at, datasets)]: how far each is.
          Upkeep(store).start() / .stop(): finishes deletions, empties the write-ahead log after quiet minutes and at
          the end, drops what a crash left.

store     Store(folder=None, app_version=""), a Deletions, opens or makes the store; folder None means default_folder():
          BUSI_STORE, on a Space with a /data disk /data/busi, else the user's data folder (~/.local/share/busi,
          XDG_DATA_HOME, %LOCALAPPDATA%, ~/Library/Application Support). Safe from many threads and processes.
          Receipt(receipt, key, saved_at (UTC, ISO), synced: bool, again: bool)   again: this key was saved before
          .save_feedback(key, feedback, gray=None) -> Receipt     one key (new_key()) for each picture shown; gray uint8
              (H, W) is kept only when feedback.keep_image
          .receipt(key) -> Receipt | None                         ask again later whether it is synced
          .remove_feedback(receipt) -> Deletion     by the short name on the receipt
          .locked_s(): a save waits for another program.     .close()

access    Code words of readers, and wrong guesses, after which the next one waits: Attempts(limit=5, longest_s=30).
          HostGate() reads BUSI_HOST_PASSWORD: .exists -> bool; .check(password, client="", browser="") raises
          CodeError.

sessions  Sessions(store)
          .create(new_session, cases) -> Created(session_id, codes: list[str])   codes are shown once and kept hashed
              cases: iterable of NewCase(gray uint8 (H, W), truth: ClassName | None = None); only the pixels are kept,
              no file name: cases are numbered in the order given.
          .list() -> [SessionInfo(session_id, name, created_at, closed, read_first, n_cases, readers)], newest first;
              readers: [ReaderInfo(number, pseudonym | None, role, years, done, stage, last_seen)]
          .renew_code(session_id, number) -> code     .add_reader(session_id) -> code     .close(session_id)
          .delete(session_id)     .remove_reader(session_id, pseudonym); both -> Deletion, synced copies included
          .enter(code, client="") -> Desk   raises CodeError

place     stage_of(connection, session, reader) -> Place(stage, done, case_number, key): whose turn it is, by the rows.
          Step(stage, key, position, n_cases, image_path, image_sha256, width, height, read_first, own, model,
                pseudonym, session_name); stage: "profile" -> "familiarise" -> for each case "own" -> "reveal" ->
                "final" -> "questionnaire" -> "done"; "closed" once the host closed it. position counts from 1 in this
                reader's own order. `own` is the locked OwnRead, `model` the revealed Model (stage "final"). Without
                read-first the stages "own" are left out. image_path: 8-bit gray PNG in the store.

progress  Desk: what one reader does; keep the code (not the Desk) in the page's state and enter again: it is cheap.
          .step() -> Step: the one that comes next
          .shown(step)                                      the step's picture is on the screen now: its clock starts
          .join(profile)   .familiarised()                  both may be repeated
          .save_own(key, own_read) -> Receipt               locks it
          .reveal(key, model) -> Model                      the first one counts: show what comes back
          .save_final(key, final_read) -> Receipt           .save_questionnaire(key, questionnaire) -> Receipt
          .saved(key) -> Saved(step, content, receipt) | None: what this reader saved under a step's key
          .picture(step) -> uint8 (H, W)     .leave_out(key) -> Receipt: go on without a case whose picture is damaged
              `key` is always `step.key` of the step that the reader saw: a double click or a second tab cannot save
              twice or into another case.
          Pausing needs no call: the reader closes the page and comes back with the code.

questionnaire  Questionnaire(answers): ten of 1..5, in the order of SUS_ITEMS, the ten sentences.
          sus_score(answers) -> 0..100 (Brooke 1996).

backup    backup(folder, file), restore(file, folder) -> BackedUp: one private ZIP; `python -m busi_model backup`.

hub_dataset  How a record lies in a private dataset on the Hub, and how files come and go there.

hub_queue  What a dataset has yet to get and to lose, as the store's own tables say.

hub_sync  storage_warning(folder=None) -> str | None: the sentence to show in red before the first case.
          Outbox.from_environment(store) -> Outbox | None     BUSI_SYNC_REPO ("owner/name") and HF_TOKEN
          .start() / .stop(): a thread that pushes what waits and goes on after a restart.
          .state() -> SyncState(waiting, synced, problem: str): what the page shows beside "saved here"; never raises.

mrmc      Multi-reader multi-case mathematics on arrays: areas under ROC curves with DeLong's covariance,
          Obuchowski-Rockette's analysis with Hillis' degrees of freedom, power and size of a next study.

reader_study
          A session as a reader study: ratings of malignancy, areas of each reader, the analysis of all, and its files
          for iMRMC and MRMCaov.

(intervals, beside this folder: the bootstrap, cases drawn again whole.)

figures   Rates, exact tests, switches, trust, time, order, and the rows of `agreement` and `reader_study`: what
          `results.summarise` is made of.

results   readings(store, session_id) -> DataFrame, one row a reader and case (READING_COLUMNS).
          summarise(readings) -> DataFrame: scope ("all" or a pseudonym), measure, value, low, high, n, note.
          learning_curve(readings) -> DataFrame: position, own_accuracy, final_accuracy, agreement, seconds, n.
          usability(store, session_id) -> DataFrame: reader, sus.     feedback(store) -> DataFrame of quick feedback.

report    write_csv(table, path) (cells that begin with = + - @ tab CR are escaped), write_jsonl(table, path),
          write_report(store, session_id, path): DECIDE-AI-shaped Markdown.
          write_downloads(store, session_id, folder) -> paths of readings.csv, readings.jsonl, summary.csv, report.md,
          where truths are known of ratings-mrmcaov.csv and ratings.imrmc, where they suffice of study.csv.
          no_study(readings) -> why they do not, or ""

export    export_cases(store, folder, session_ids=None) -> Exported(n_cases, skipped: {reason: n}, n_conflicts):
          BUSI's layout, conflicts.csv (readers against a known truth) and a manifest.csv whose source is "clinician";
          `train.py --data FOLDER` takes it, for training only.
          export_known(store, folder, session_id, is_seen) -> Exported: cases of known class, without outlines, for
          `busi calibrate --data FOLDER`.
"""
