"""One verb on many files, by several processes or a cluster: a part for each file."""
