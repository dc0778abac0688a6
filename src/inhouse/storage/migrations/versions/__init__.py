"""One file a revision, numbered; the number is the revision's id."""
