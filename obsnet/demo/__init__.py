"""The embedded default: a synthetic world written as files in the real formats, and what became of it."""
