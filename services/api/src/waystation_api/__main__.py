"""`python -m waystation_api` is `waystation-api`."""

import sys

from waystation_api.main import main

sys.exit(main())
