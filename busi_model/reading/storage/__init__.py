"""Records on the disk. Imports go down this list, and to `records` and `errors` beside this folder:

schema    The database's tables, step by step.

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

backup    backup(folder, file), restore(file, folder) -> BackedUp: one private ZIP; `python -m busi_model backup`.
"""
