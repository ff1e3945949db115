"""Localisation: geodesic Gaspari-Cohn weights between columns of the state and observations."""
