"""Rules that texts can be generated under: patterns, JSON schemas, grammars."""
