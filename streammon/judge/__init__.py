"""What readings mean under a policy: incidents and their events. Pure: no clock, no thread, no I/O but files read."""
