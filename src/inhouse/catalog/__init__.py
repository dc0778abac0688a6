"""Model cards, snapshots and the deployments that serve them."""

from inhouse.catalog.catalog import Catalog, Resolved

__all__ = ["Catalog", "Resolved"]
