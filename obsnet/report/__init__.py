"""Maps, charts and self-contained HTML pages."""
