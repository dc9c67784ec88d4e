"""Brings raw rows into the warehouse's form: code, name, parent code, remark."""
import csv
import json
import os
import sys

table, stage = os.environ["LB_PARAM_table"], os.environ["LB_PARAM_stage"]
rows = {}
with open(os.path.join(stage, f"{table}.raw")) as f:
    for line in f:
        row = json.loads(line)
        code = row.get("code") or row.get("alpha_4") or row.get("alpha_3") or row["alpha_2"]
        parent = ""
        if table == "countries":
            code = row["alpha_2"]
        if table == "subdivisions":
            parent = row.get("parent") or code.split("-")[0]
            if "-" not in parent and parent != code.split("-")[0]:
                parent = code.split("-")[0] + "-" + parent
        remark = row.get("official_name") or row.get("type") or row.get("comment") or ""
        if code in rows:
            sys.exit(f"code {code} stands twice in {table}")
        rows[code] = (code, row["name"], parent, remark)
expected = int(os.environ["LB_PARAM_expected"])
if len(rows) != expected:
    sys.exit(f"{table}: {expected} rows were extracted, {len(rows)} are here")
target = os.path.join(stage, f"{table}.csv")
with open(target + ".part", "w", newline="") as f:
    csv.writer(f).writerows(rows[code] for code in sorted(rows))
os.replace(target + ".part", target)
with open(os.environ["LB_OUTPUTS"], "w") as f:
    f.write(f"rows={len(rows)}\n")
print(f"{table}: {len(rows)} rows in the warehouse's form")
