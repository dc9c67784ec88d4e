"""Checks what was loaded. A finding fails the child with a sentence that says what was found."""
import os
import sqlite3
import sys


def finish(state, message):
    with open(os.environ["LB_RESULT"], "w") as f:
        f.write(f"{state} {message}")
    print(message)
    sys.exit(0 if state == "succeeded" else 1)


db = sqlite3.connect(f"file:{os.environ['LB_PARAM_warehouse']}?mode=ro", uri=True, timeout=60)
kinds = dict(db.execute("SELECT kind, count(*) FROM codes GROUP BY kind"))
if len(kinds) != int(os.environ["LB_PARAM_tables"]):
    finish("failed", f"{len(kinds)} of {os.environ['LB_PARAM_tables']} tables are loaded: "
                     f"{', '.join(kinds)}")
orphans = [row[0] for row in db.execute(
    "SELECT s.code FROM codes s WHERE s.kind = 'subdivisions'"
    " AND NOT EXISTS (SELECT 1 FROM codes p WHERE p.code = s.parent"
    " AND p.kind IN ('countries', 'subdivisions')) ORDER BY s.code")]
if orphans:
    finish("failed", f"{len(orphans)} subdivisions without their country: "
                     f"{', '.join(orphans[:5])} ...")
with open(os.environ["LB_OUTPUTS"], "w") as f:
    f.write(f"rows={sum(kinds.values())}\n")
finish("succeeded", f"{sum(kinds.values())} rows in {len(kinds)} tables, "
                    "each subdivision with its country")
