"""Who is seen and heard in the call: the double, its owner, a card, nobody."""
