"""A reading session, from its codes to its last answer. Imports go down this list, and to `storage`:

access    Code words of readers, and wrong guesses, after which the next one waits: Attempts(limit=5, longest_s=30).
          HostPassword() reads BUSI_HOST_PASSWORD: .exists -> bool; .check(password, client="", browser="") raises
          CodeError.

questionnaire  Questionnaire(answers): ten of 1..5, in the order of SUS_ITEMS, the ten sentences.
          sus_score(answers) -> 0..100 (Brooke 1996).

place     stage_of(connection, session, reader) -> Place(stage, done, case_number, key): whose turn it is, by the rows.
          Step(stage, key, position, n_cases, image_path, image_sha256, width, height, read_first, own, model,
                pseudonym, session_name); stage: "profile" -> "familiarise" -> for each case "own" -> "reveal" ->
                "final" -> "questionnaire" -> "done"; "closed" once the host closed it. position counts from 1 in this
                reader's own order. `own` is the locked OwnRead, `model` the revealed Model (stage "final"). Without
                read-first the stages "own" are left out. image_path: 8-bit gray PNG in the store.

progress  ReaderSession: what one reader does; keep the code, not this, in the page's state and enter again: it is
          cheap.
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

sessions  Sessions(store)
          .create(new_session, cases) -> Created(session_id, codes: list[str])   codes are shown once and kept hashed
              cases: iterable of NewCase(gray uint8 (H, W), truth: ClassName | None = None); only the pixels are kept,
              no file name: cases are numbered in the order given.
          .list() -> [SessionInfo(session_id, name, created_at, closed, read_first, n_cases, readers)], newest first;
              readers: [ReaderInfo(number, pseudonym | None, role, years, done, stage, last_seen)]
          .renew_code(session_id, number) -> code     .add_reader(session_id) -> code     .close(session_id)
          .delete(session_id)     .remove_reader(session_id, pseudonym); both -> Deletion, synced copies included
          .enter(code, client="") -> ReaderSession   raises CodeError
"""
