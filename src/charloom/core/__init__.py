"""How an LSTM is computed, and nothing else: one contract, two implementations."""
