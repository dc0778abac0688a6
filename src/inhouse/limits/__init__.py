"""Rate limits: usage tiers, buckets that refill continuously, and what is said when one is empty."""

from inhouse.limits.demand import Demand as Demand
from inhouse.limits.demand import estimate as estimate
from inhouse.limits.service import Admission as Admission
from inhouse.limits.service import Limits as Limits
