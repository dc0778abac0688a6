"""What projects allow: models, hosted tools, retention."""
