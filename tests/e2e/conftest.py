"""The fixtures of fixtures.py, for the tests of this folder."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fixtures import *  # noqa: E402,F401,F403
from fixtures import _conditions, _session_server  # noqa: E402,F401
