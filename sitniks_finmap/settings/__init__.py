"""What a shop is: its settings, from connections.toml and the environment; how they are read, refused and edited."""
