"""Model cards, snapshots and the deployments that serve them."""
