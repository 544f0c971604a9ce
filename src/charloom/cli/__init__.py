"""The command line; every command uses public names of the library."""
