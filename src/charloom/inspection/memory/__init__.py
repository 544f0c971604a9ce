"""How far back a network remembers: `context` of a trained model, `recall` as an experiment."""
