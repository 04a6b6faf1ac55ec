"""The command `sitniks-finmap`."""
