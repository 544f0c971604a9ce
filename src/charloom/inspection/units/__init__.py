"""Which units follow something with a name: search, controls, clamping, report."""
