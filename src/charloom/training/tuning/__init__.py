"""A search for better settings: many runs, chosen and pruned by Optuna."""
