"""What all kernels read and draw: fields at a place, and random numbers that depend on nothing but their counter."""
