"""A text pressed to its bits, with a model's probabilities, and back."""
