"""The report: one HTML page for each shop, for its owner, and an index over all shops for integrators."""
