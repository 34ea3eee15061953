"""What other people would run. The scripts here run in environments of their own, without streammon."""
