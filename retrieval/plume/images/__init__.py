"""Images of a gas: what they hold, mass from mole fractions, where plumes are."""
