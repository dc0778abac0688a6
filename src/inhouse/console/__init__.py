"""The web pages people see."""
