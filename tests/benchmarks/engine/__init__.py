"""How many rooms one machine sustains, beside what other people would run. `make bench-engine`."""
