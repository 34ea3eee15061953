"""Sample clips, and what plays them as live streams: for the tests and the demo, not in the wheel."""
