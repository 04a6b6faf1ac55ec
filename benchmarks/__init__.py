"""How fast, how lean, how much memory: each measured against its yardstick in the same run. See README.md."""
