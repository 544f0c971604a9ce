"""Parts of a text that are too surprising for their length, at a known rate of false alarms."""
