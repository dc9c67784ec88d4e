# The Python client, written from PROTOCOL.md alone: it calls, waits, cancels, and follows results
# over a restart.
load helpers

setup_file() {
    new_cluster etl1
    new_package say shell 'echo "$LB_PARAM_text"
printf "succeeded %s" "$LB_PARAM_text" >"$LB_RESULT"
echo "length=${#LB_PARAM_text}" >>"$LB_OUTPUTS"
sleep "$LB_PARAM_seconds"' 'parameters:
  text: {type: string, required: true}
  seconds: {type: string, default: "0"}
outputs: {length: {type: int}}'
    deploy say etl
}
teardown_file() { end_cluster; }
setup() { enter; }

python() {
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$top/client/python timeout 60 /usr/bin/python3 -c "$1"
}

@test "it calls a job and waits for the three layers and the outputs" {
    run python '
from longboat import Client
with Client() as lb:
    o = lb.wait(lb.call("package:say", "etl", {"text": "hello"}), 30)
    print(o["delivery"], o["job"], o["package"], o["status"], o["message"],
          o["outputs"]["length"], o["server"])'
    [ "$output" = "called succeeded succeeded succeeded hello 5 etl1" ]
}

@test "the same key with another body is refused as a conflict" {
    run python '
from longboat import Client, LongboatError
with Client() as lb:
    lb.call("package:say", "etl", {"text": "a"}, key="k2")
    try:
        lb.call("package:say", "etl", {"text": "b"}, key="k2")
    except LongboatError as e:
        print(e.code)'
    [ "$output" = 13 ]
}

@test "a cancel ends the run as cancelled" {
    run python '
from longboat import Client
with Client() as lb:
    run = lb.call("package:say", "etl", {"text": "x", "seconds": "1000"})
    lb.cancel(run, "of the test")
    print(lb.wait(run, 30)["status"])'
    [ "$output" = cancelled ]
}

@test "a call with an unknown parameter is refused with the server's sentence" {
    run python '
from longboat import Client
with Client() as lb:
    o = lb.wait(lb.call("package:say", "etl", {"text": "x", "colour": "red"}), 30)
    print(o["status"], o["message"])'
    assert_has refused
    assert_has colour
}

@test "waiting for a run that does not exist ends with the broker's sentence" {
    run python '
from longboat import Client, LongboatError
with Client() as lb:
    try:
        lb.wait(bytes(range(16)))
    except LongboatError as e:
        print(e.code, e)'
    [ "$status" -eq 0 ]
    assert_has "16 run 00010203"
}

@test "it follows events over a broker that is killed, each once and in order" {
    python '
import os, signal, threading
from longboat import Client
with Client() as lb:
    first = max([e["seq"] for e in lb.events(since=1)] or [0])
    runs = [lb.call("package:say", "etl", {"text": str(i)}) for i in range(10)]
    for r in runs:
        lb.wait(r, 30)
    os.kill(int(open("'"$demo"'/broker.pid").read()), signal.SIGKILL)
    runs = [lb.call("package:say", "etl", {"text": str(i)}, timeout=60) for i in range(10, 20)]
    for r in runs:
        lb.wait(r, 60)
    seqs, texts = [], []
    for e in lb.events(after=first, event="result"):
        seqs.append(e["seq"])
        texts.append(int(e["parameters"]["text"]))
    assert seqs == sorted(set(seqs)), seqs
    assert sorted(texts) == list(range(20)), texts'
}

@test "more events than the credit of one subscription come over a broker that is killed" {
    python '
import os, signal
from longboat import Client
with Client() as lb, Client() as monitor:
    def results(numbers):
        for r in [lb.call("package:say", "etl", {"text": "%d %s" % (i, "x" * 20000)}, timeout=60)
                  for i in numbers]:
            lb.wait(r, 60)
    first = max([e["seq"] for e in lb.events(since=1)] or [0])
    events = monitor.events(after=first, stay=True, event="result")
    def seen(n):
        return [int(next(events)["parameters"]["text"].split()[0]) for _ in range(n)]
    results(range(40))
    texts = seen(40)
    os.kill(int(open("'"$demo"'/broker.pid").read()), signal.SIGKILL)
    results(range(40, 80))
    texts += seen(40)
    assert sorted(texts) == list(range(80)), texts'
}

@test "the broker knows the queries, verbs and events of the protocol's page, and no others" {
    lbctl runs >/dev/null
    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$BATS_TEST_DIRNAME/requests.py" "$demo/admin"
}

@test "the broker does what the protocol's page says of sessions, requests, credit, enrolment" {
    join_principal anna 'call *@all' 'watch *@all'
    lbctl invite --principal fresh --grant 'watch *@etl' >"$demo/fresh.token"
    /usr/bin/python3 -B "$BATS_TEST_DIRNAME/page.py" "$demo"
}
