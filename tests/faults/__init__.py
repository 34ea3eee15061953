"""The fault suite: the ways in which live streams fail, played to the real ingest. `python -m tests.faults`."""
