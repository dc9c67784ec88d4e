"""Loads one table into the warehouse in one transaction, so that running twice does no harm."""
import csv
import os
import sqlite3

table, warehouse = os.environ["LB_PARAM_table"], os.environ["LB_PARAM_warehouse"]
with open(os.path.join(os.environ["LB_PARAM_stage"], f"{table}.csv"), newline="") as f:
    rows = list(csv.reader(f))
db = sqlite3.connect(warehouse, timeout=60, isolation_level=None)
db.execute("BEGIN IMMEDIATE")
db.execute("CREATE TABLE IF NOT EXISTS codes (kind TEXT NOT NULL, code TEXT NOT NULL,"
           " name TEXT NOT NULL, parent TEXT, remark TEXT, PRIMARY KEY (kind, code)) WITHOUT ROWID")
db.execute("DELETE FROM codes WHERE kind = ?", (table,))
db.executemany("INSERT INTO codes VALUES (?, ?, ?, nullif(?, ''), nullif(?, ''))",
               ([table] + row for row in rows))
db.execute("COMMIT")
with open(os.environ["LB_OUTPUTS"], "w") as f:
    f.write(f"rows={len(rows)}\n")
print(f"{table}: {len(rows)} rows loaded")
