"""Which units follow something with a name: labels, search, controls, clamping, report."""
