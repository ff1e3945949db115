"""Work on many items: one adapter for local, Dask and sharded runs, and its progress."""
