"""What a call used and what it cost, one row a request."""
