"""Who is calling: organizations, projects and API keys."""
