"""The verbs of the command line, one short function each, on the library's public names."""
