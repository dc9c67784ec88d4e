#!/bin/sh
# Ends the demo's cluster: broker, workers, runners, keepers and the monitor. Their files stay until the next demo.
set -eu
demo=${LONGBOAT_DEMO:-${TMPDIR:-/tmp}/longboat-demo-$(id -u)}
. "$(dirname "$0")/cluster.sh"
[ -d "$demo" ] || {
    echo "demo: nothing is running"
    exit 0
}
for name in wh1 etl2 etl1 broker; do
    halt $name
done
[ ! -e "$demo/monitor.pid" ] || kill "$(cat "$demo/monitor.pid")" 2>/dev/null || :
rm -f "$demo/monitor.pid"
# Runners and keepers live on without their worker, by design; here they are to go too.
for lock in "$demo"/*/run/runner.lock; do
    [ -e "$lock" ] || continue
    pkill -TERM -s "$(head -n 1 "$lock")" 2>/dev/null || kill "$(head -n 1 "$lock")" 2>/dev/null || :
done
echo "demo: stopped; its files are in $demo"
