"""Output for people: status, preview, explain, doctor."""
