"""Messages with memory: what is wrong, since when, who was told, and what is still to be sent."""
