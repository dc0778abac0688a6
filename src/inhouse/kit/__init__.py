"""Small shared parts: ids, money, errors, clock, server-sent events, validation."""
