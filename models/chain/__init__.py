"""Engines that stand in for one another: a chain tries its members in order, behind the Protocol of their kind."""
