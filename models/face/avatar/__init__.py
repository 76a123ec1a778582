"""A prepared avatar: what is made of the user's recording once, so that speaking costs only the mouth.

recording.py ─► tracking.py ─► mask.py ─► loops.py ─► create.py ─► AvatarPack ─► store.py, report.py
"""
