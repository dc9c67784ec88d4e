#!/bin/sh
# Ends the demo's cluster: broker, workers, runners, keepers and the monitor. Their files stay until
# the next demo.
set -eu
. "$(dirname "$0")/cluster.sh"
demo=$(demo_folder)
if [ ! -d "$demo" ]; then
    echo "demo: nothing is running"
    exit 0
fi
unset LONGBOAT_HOME # this shell is not of the cluster
end_all
echo "demo: stopped; its files are in $demo"
