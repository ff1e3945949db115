"""Carbon observation toolkit: the ground floor that stations, retrieval and inversion share.

Layers, each importing only from those before it::

    errors, constants <- units, times <- schema <- grid, field, store, config
    <- coverage, regions, regrid <- zonal, surroundings <- shares, points <- splitting
    <- conventions, flux_reader, geotiff, cf; provenance, parallel
    <- pipeline <- inventory, met <- crosscheck, report <- demo; cli collects
"""

__obsnet__ = True
__version__ = "0.1.0"
