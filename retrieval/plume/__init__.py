"""Plumes of point sources: found in images of columns, and turned into emission rates with every error named."""
