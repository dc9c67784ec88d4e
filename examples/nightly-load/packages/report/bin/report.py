"""Writes one self-contained HTML page about what the night has loaded."""
import html
import os
import sqlite3

db = sqlite3.connect(f"file:{os.environ['LB_PARAM_warehouse']}?mode=ro", uri=True, timeout=60)
lines = []
for kind, count, first, last in db.execute(
        "SELECT kind, count(*), min(name), max(name) FROM codes"
        " GROUP BY kind ORDER BY count(*) DESC"):
    values = (kind.replace("_", " "), count, first, last)
    cells = "".join(f"<td>{html.escape(str(v))}</td>" for v in values)
    lines.append(f"<tr>{cells}</tr>")
largest = db.execute(
    "SELECT c.name, count(*) FROM codes s"
    " JOIN codes c ON c.kind = 'countries' AND c.code = substr(s.code, 1, 2)"
    " WHERE s.kind = 'subdivisions' GROUP BY c.code ORDER BY count(*) DESC LIMIT 10").fetchall()
bars = "".join(f"<tr><td>{html.escape(name)}</td>"
               f"<td><div style='background:#36c;height:1em;width:{n}px'></div></td>"
               f"<td>{n}</td></tr>" for name, n in largest)
page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Nightly load</title>
<style>body{{font:16px sans-serif;margin:2em}}td,th{{padding:.2em .8em;text-align:left}}</style>
<h1>Nightly load of {html.escape(os.environ["LB_AS_OF"])}</h1>
<p>{os.environ["LB_PARAM_rows"]} rows, checked, by run {html.escape(os.environ["LB_RUN"])}.</p>
<table><tr><th>table<th>rows<th>first name<th>last name</tr>{"".join(lines)}</table>
<h2>Countries with the most subdivisions</h2><table>{bars}</table></html>
"""
target = os.environ["LB_PARAM_page"]
with open(target + ".part", "w") as f:
    f.write(page)
os.replace(target + ".part", target)
with open(os.environ["LB_RESULT"], "w") as f:
    f.write(f"succeeded page written to {target}")
