"""A training run: a folder in which a model is made, resumable to the last bit."""
