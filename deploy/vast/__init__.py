"""Renting a GPU at Vast.ai, and being sure that nothing stays rented."""
