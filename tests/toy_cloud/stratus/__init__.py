"""Stratus: a cloud that does not exist, as a folder of its own. It has projects, and tokens that can be frozen."""
