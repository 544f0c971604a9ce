"""How one step of each cell is told: the LSTM as the blog's newspaper, others in their terms."""
