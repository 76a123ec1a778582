"""What the double hears, and when it answers."""
