"""Files, and the record of what in them is right."""
