"""Reading a prompt that is longer than the model's window: passages of it, found by the question."""
