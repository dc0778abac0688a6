"""One engine for each distinct way of running a model, shared by all deployments that run it so."""
