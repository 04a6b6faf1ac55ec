"""The `sitniks-finmap` command line."""
