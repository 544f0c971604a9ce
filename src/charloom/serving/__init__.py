"""A model on a page: served to a browser on this machine, or written as one file."""
