"""PGHOST, PGPORT and PGDATABASE say where the server is; CMDSCHED_TEST_RESTART restarts it."""
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "examples")]
