"""Cameras, microphones, cables and files: the edge of the machine."""
