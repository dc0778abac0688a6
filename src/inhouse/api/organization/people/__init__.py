"""Users, invites, members of projects, service accounts."""
