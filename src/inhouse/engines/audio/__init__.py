"""Sound as bytes: what uploads are decoded from, and what speech is encoded to. Runs in child processes only."""
