"""Archives: many files become rows, masks and overlays. `find` lists files, `work` judges them, `rows` keeps what came
of it, `local` and `ray` drive the work on one machine or on many."""
