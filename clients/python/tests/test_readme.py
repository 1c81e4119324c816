"""The quick start of ../README.md gives what it says."""
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg

CLIENT = Path(__file__).parents[1]


def test_quick_start(tmp_path):
    blocks = re.findall(r"^```(sql|python|text)\n(.*?)^```$", (CLIENT / "README.md").read_text(), re.M | re.S)
    assert [language for language, _ in blocks[:3]] == ["sql", "python", "text"]
    setup, program, output = (text for _, text in blocks[:3])
    with psycopg.connect(user="postgres", autocommit=True) as connection:
        connection.execute(setup)
    (tmp_path / "app.py").write_text(program)
    result = subprocess.run(
        [sys.executable, "app.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CLIENT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.stdout, result.stderr) == (output, "")
