"""The change of a flux that a network would find."""
