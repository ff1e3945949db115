"""Shared readers: containers, fields named by a sensor table, profiles brought surface first and checked."""
