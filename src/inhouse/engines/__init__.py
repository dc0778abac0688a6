"""What runs models: weights, child processes, remote servers."""
