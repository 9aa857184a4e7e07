"""The database's tables, as the list of steps that lead from one form to the next.

`PRAGMA user_version` counts the steps a file has taken. A step that was released is never changed: add another one.
Statements are parted at semicolons, so no comment may hold one.
"""

_FIRST = """
CREATE TABLE session (
    id TEXT PRIMARY KEY,                    -- 12 random hexadecimal digits
    name TEXT NOT NULL,
    read_first INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    closed_at TEXT
) STRICT;
CREATE TABLE session_case (
    session_id TEXT NOT NULL REFERENCES session ON DELETE CASCADE,
    number INTEGER NOT NULL,                -- from 1, in the host's order
    image_sha256 TEXT NOT NULL,             -- of the pixels, and the picture's file name
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    truth TEXT,
    PRIMARY KEY (session_id, number)
) STRICT;
CREATE TABLE reader (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL REFERENCES session ON DELETE CASCADE,
    number INTEGER NOT NULL,                -- from 1, never given twice
    locator TEXT UNIQUE,                    -- the code's first group, in the clear: it finds the row
    salt BLOB,
    code_hash BLOB,
    case_order TEXT NOT NULL,               -- JSON list of case numbers
    pseudonym TEXT,
    pseudonym_folded TEXT,                  -- two readers cannot differ by case alone
    role TEXT,
    years REAL,
    familiarised_at TEXT,
    last_seen TEXT,
    removed_at TEXT,                        -- records, pseudonym and code are gone, the number stays taken
    UNIQUE (session_id, number),
    UNIQUE (session_id, pseudonym_folded)
) STRICT;
CREATE TABLE shown (
    reader_id INTEGER NOT NULL REFERENCES reader ON DELETE CASCADE,
    step_key TEXT NOT NULL,
    last_at TEXT NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (reader_id, step_key)
) STRICT;
CREATE TABLE record (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    session_id TEXT REFERENCES session ON DELETE CASCADE,
    reader_id INTEGER REFERENCES reader ON DELETE CASCADE,
    case_number INTEGER,
    image_sha256 TEXT,
    content TEXT NOT NULL,                  -- JSON
    mask_png BLOB,
    model_mask_png BLOB,
    weights_sha256 TEXT,
    weights_revision TEXT,
    app_version TEXT NOT NULL,
    saved_at TEXT NOT NULL,
    seconds REAL,
    times_shown INTEGER,
    image_kept INTEGER NOT NULL DEFAULT 0,
    push_started_at TEXT,                   -- from here on a copy may be on the hub
    synced_at TEXT,
    sync_problem TEXT,
    UNIQUE (reader_id, case_number, kind)
) STRICT;
CREATE INDEX record_waiting ON record (id) WHERE synced_at IS NULL;
CREATE INDEX record_session ON record (session_id);
CREATE TABLE removal (
    key TEXT PRIMARY KEY,                   -- of a record that is gone here and must go on the hub
    saved_at TEXT NOT NULL
) STRICT
"""

# A deletion is worked off and retried until nothing is left; times are taken from a clock that nobody sets.
_SECOND = """
CREATE TABLE deletion (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    what TEXT NOT NULL,                     -- session, reader or feedback: no name, no code
    began_at TEXT NOT NULL,                 -- the rows were gone from then on
    n_records INTEGER NOT NULL,
    n_pictures INTEGER NOT NULL,
    n_copies INTEGER NOT NULL,              -- that may have left for the hub
    log_emptied_at TEXT,                    -- from then on no old page is left in the write-ahead log
    done_at TEXT
) STRICT;
CREATE TABLE deletion_picture (
    deletion_id INTEGER NOT NULL REFERENCES deletion ON DELETE CASCADE,
    image_sha256 TEXT NOT NULL,             -- to be removed unless somebody else refers to it
    PRIMARY KEY (deletion_id, image_sha256)
) STRICT;
ALTER TABLE removal ADD COLUMN deletion_id INTEGER;
ALTER TABLE removal ADD COLUMN push_started_at TEXT;
ALTER TABLE removal ADD COLUMN checked_at TEXT;
ALTER TABLE shown ADD COLUMN clock TEXT;
ALTER TABLE shown ADD COLUMN clock_s REAL;
ALTER TABLE record ADD COLUMN clock_step_s REAL
"""

# Copies are known by the dataset that they went to: what one of them has says nothing of another. An older program did
# not write down which it was: '' stands there until the dataset that is named next is looked through. From here on a
# record may also hold descriptors, which older programs would refuse to read.
_THIRD = """
CREATE TABLE copy (
    key TEXT NOT NULL,                      -- of a record
    dataset TEXT NOT NULL,                  -- owner/name on the hub
    push_started_at TEXT NOT NULL,          -- from here on a copy may be there
    synced_at TEXT,
    problem TEXT,
    PRIMARY KEY (key, dataset)
) STRICT;
INSERT INTO copy SELECT key, '', coalesce(push_started_at, synced_at), NULL, NULL FROM record
    WHERE push_started_at IS NOT NULL OR synced_at IS NOT NULL;
DROP INDEX record_waiting;
ALTER TABLE record DROP COLUMN push_started_at;
ALTER TABLE record DROP COLUMN synced_at;
ALTER TABLE record DROP COLUMN sync_problem;
ALTER TABLE removal RENAME TO older_removal;
CREATE TABLE removal (
    key TEXT NOT NULL,                      -- of a record that is gone here and must go in that dataset
    dataset TEXT NOT NULL,
    saved_at TEXT NOT NULL,
    deletion_id INTEGER,
    push_started_at TEXT,
    checked_at TEXT,
    PRIMARY KEY (key, dataset)
) STRICT;
INSERT INTO removal SELECT key, '', saved_at, deletion_id, push_started_at, checked_at FROM older_removal;
DROP TABLE older_removal
"""

MIGRATIONS = (_FIRST, _SECOND, _THIRD)
