"""What the operator sees and types in the terminal.

application's figures ─► View ─► render ─► rich, 8 times a second        screen.py, in a terminal
                           └───► changes ─► plain lines                 plain.py, elsewhere
keys ─► LineEditor ─► lines ─► Desk ─► Controls (say, takeover, mode …)
"""
