"""Administration of an organization: usage, costs, projects, people, keys, the audit log."""
