#!/usr/bin/python3
"""Writes a compilation database: how each source that is named on standard input is compiled.

usage: tools/compile_commands.py COMPILER FLAG... <SOURCES
"""
import json
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

sources = [line.rstrip("\n") for line in sys.stdin]
json.dump([{"directory": TOP, "file": s, "arguments": sys.argv[1:] + ["-c", s]} for s in sources],
          sys.stdout, indent=1)
print()
