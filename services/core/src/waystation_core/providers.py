"""The engine's means for the rules: ids in order of time, chance, and the JSON that it stores."""

from __future__ import annotations

import random

from waystation_conversion.sizes import json_size
from waystation_core.ids import new_id
from waystation_domain.providers import Providers

# Chance spreads retries; nothing secret rests on it.
PROVIDERS = Providers(make_id=new_id, chance=random.random, size_of=json_size)
