"""The most probable continuations of a text, and of a gap in one."""
