"""Transport: footprints of every make read, and made by a particle model of our own."""
