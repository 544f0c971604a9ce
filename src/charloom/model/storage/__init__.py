"""What a model is on a disk: its file, its digests, how it came about, its state after a text."""
