"""Text becomes numbers: it is read, given ids by a vocabulary, and cut into batches."""
