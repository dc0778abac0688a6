"""What an organization uses, spends and owns: each page reads public operations with the keys of the session."""
