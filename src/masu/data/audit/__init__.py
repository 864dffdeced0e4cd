"""Audit: the faults of a data set found, told and mended."""
