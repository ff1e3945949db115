"""Fixed-lag smoothers: observations step by step in time, a window of fluxes still open to change."""
