"""Batches on a Ray cluster: ``run`` spreads the parts of a batch, and a ``worker`` does them."""
