"""Copies of records in a private data set on the Hub. Imports go down this list, and to `storage`:

dataset   How a record lies in a private dataset on the Hub, and how files come and go there.

queue     What a dataset has yet to get and to lose, as the store's own tables say.

sync      storage_warning(folder=None) -> str | None: the sentence to show in red before the first case.
          HubSync.from_environment(store) -> HubSync | None     BUSI_SYNC_REPO ("owner/name") and HF_TOKEN
          .start() / .stop(): a thread that pushes what waits and goes on after a restart.
          .state() -> SyncState(waiting, synced, problem: str): what the page shows beside "saved here"; never raises.
"""
