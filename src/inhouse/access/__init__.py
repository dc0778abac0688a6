"""Who is calling: organizations, projects and API keys."""

from inhouse.access.service import PROVEN as PROVEN
from inhouse.access.service import Access as Access
from inhouse.access.service import Bootstrapped as Bootstrapped
from inhouse.access.service import Caller as Caller
from inhouse.access.service import NewKey as NewKey
from inhouse.access.store import Key as Key
from inhouse.access.store import Project as Project
from inhouse.access.strength import UnusableKey as UnusableKey
from inhouse.access.strength import WeakKey as WeakKey
