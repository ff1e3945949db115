"""From the tables of a case file to a solved problem on disk."""
