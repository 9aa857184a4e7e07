"""What a session shows. Imports go down this list, and to `storage`:

mrmc      Multi-reader multi-case mathematics on arrays: areas under ROC curves with DeLong's covariance,
          Obuchowski-Rockette's analysis with Hillis' degrees of freedom, power and size of a next study.

reader_study
          A session as a reader study: ratings of malignancy, areas of each reader, the analysis of all, and its files
          for iMRMC and MRMCaov.

agreement
          How far readers agree: with the model, with each other, with themselves.

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
"""
