"""The annex: the report in the order of an inventory's annex, as a document for a word processor."""
