"""Carbon observation toolkit: the ground floor that stations, retrieval and inversion share.

Layers, each importing only from those before it::

    errors, constants <- units, times <- grid <- regrid, regions, zonal <- schema <- store, cf
    config, provenance, parallel <- met, inventory, crosscheck, report, demo <- pipeline, cli
"""

__obsnet__ = True
__version__ = "0.1.0"
