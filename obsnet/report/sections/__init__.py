"""Sections of the report that are there when their table is: text, a table and a picture each, in both languages."""
