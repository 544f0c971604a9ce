"""A trained model: its file, and what it can do (score, generate, trace)."""
