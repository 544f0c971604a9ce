"""How far back a network remembers: measured in a model, and in an experiment."""
