"""The embedded moderation classifier: texts and images to a score for each category."""
