"""A model in other formats: a file for each, with the same functions."""
