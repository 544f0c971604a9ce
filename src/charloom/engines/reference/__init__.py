"""The reference engine in NumPy: the definition that every other engine agrees with."""
