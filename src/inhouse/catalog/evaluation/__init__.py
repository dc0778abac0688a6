"""What a deployment is worth, measured: tasks, how their answers are graded, and what came out."""
