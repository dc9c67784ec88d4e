"""Reads one table of iso-codes and leaves it in the staging folder, a JSON object a line."""
import json
import os
import sys

TABLES = {  # our name: the standard's number, which names the file
    "languages": "639-3", "bibliographic_languages": "639-2", "language_families": "639-5",
    "countries": "3166-1", "subdivisions": "3166-2", "former_countries": "3166-3",
    "currencies": "4217", "scripts": "15924",
}


def finish(state, message):
    with open(os.environ["LB_RESULT"], "w") as f:
        f.write(f"{state} {message}")
    sys.exit(0 if state == "succeeded" else 1)


table, stage = os.environ["LB_PARAM_table"], os.environ["LB_PARAM_stage"]
if table not in TABLES:
    finish("failed", f"no such table: {table} (known: {', '.join(sorted(TABLES))})")
path = os.path.join(os.environ["LB_PARAM_source"], f"iso_{TABLES[table]}.json")
with open(path) as f:
    rows = json.load(f)[TABLES[table]]
os.makedirs(stage, exist_ok=True)
target = os.path.join(stage, f"{table}.raw")
with open(target + ".part", "w") as f:
    for number, row in enumerate(rows, 1):
        f.write(json.dumps(row, sort_keys=True) + "\n")
        if number % 1000 == 0 or number == len(rows):
            with open(os.environ["LB_PROGRESS"], "w") as p:
                p.write(f"{number * 100 // len(rows)} extracting {table}")
os.replace(target + ".part", target)  # whole or not at all: running twice does no harm
print(f"{len(rows)} rows of {path}")
with open(os.environ["LB_OUTPUTS"], "w") as f:
    f.write(f"rows={len(rows)}\n")
finish("succeeded", f"{len(rows)} rows")
