# Fencing and the two times of liveness, with real processes that are stopped (SIGSTOP) and go on
# (SIGCONT). No result may count twice, no two attempts may run at a time, and no child may die
# because another process was away. A child appends lines with times to a file of its own: `begin`,
# `beat` ten times a second, `end`.
load helpers

# Seconds. The fence of a `rerun` attempt TERMs after 4 s of silence and KILLs after 8.
lease=3 lost=8

setup_file() {
    local s
    new_demo
    enter
    lbctl init --no-passphrase --cluster test --listen "127.0.0.1:$(free_port)" \
        --broker-home "$demo/broker"
    start_broker --lease ${lease}s --lost-after ${lost}s
    lbpkg keygen
    for s in etl1 etl2; do
        join_server "$s" etl
        cp "$demo/admin/etc/keys/builder.pub" "$demo/$s/etc/trust/signers"
        start_server "$s" --slots 12
    done
    new_package child shell '[ "$LB_PARAM_stubborn" != yes ] || trap "" TERM
say() { echo "$1 $LB_ATTEMPT $(date +%s%N) $$" >>"$LB_PARAM_dir/$LB_PARAM_name"; }
say begin
while [ ! -e "$LB_PARAM_dir/go-$LB_PARAM_name" ] && [ "$LB_ATTEMPT" = 1 ]; do
    say beat; sleep 0.1
done
say end' 'parameters:
  name: {type: string, required: true}
  dir: {type: string, required: true}
  stubborn: {type: string, default: "no"}'
    deploy child etl
}
teardown_file() { end_cluster; }
setup() {
    enter
    dir=$demo/of-$BATS_TEST_NUMBER
    witness_folder "$dir"
}
teardown() { # whatever a failed test left stopped
    pkill_stopped
}

pkill_stopped() {
    local p
    for p in $(cat "$demo/stopped" 2>/dev/null); do
        kill -CONT "$p" 2>/dev/null || :
    done
    rm -f "$demo/stopped"
}

stop_process() {
    echo "$1" >>"$demo/stopped"
    kill -STOP "$1"
}

# begin NAME ON_LOST [OPTIONS...] [-- PARAMETERS...]: its run is in $dir/run-NAME; it runs on etl1.
begin() {
    local name=$1 on_lost=$2
    shift 2
    call --on-lost "$on_lost" "$@" "name=$name" "dir=$dir" >"$dir/run-$name"
    await "$name runs" grep -q begin "$dir/$name"
}

run_of() { cat "$dir/run-$1"; }
child_of() { awk '$1 == "begin" && $2 == 1 {print $4}' "$dir/$1"; }
said() { grep -c "^$2 $3 " "$dir/$1"; } # said NAME WORD ATTEMPT: how often
server_state() { lbctl servers "$1" --json | jq -r .state; }
server_in_state() { [ "$(server_state "$1")" = "$2" ]; }
happened() { # happened NAME EVENT: how often, in the order of the events
    lbmon --event all --run "$(run_of "$1")" --since 0 --until-now --json | jq -r .event |
        grep -c "^$2\$" || :
}
counted() { # the attempts whose end is the run's, one a line
    lbctl show "$(run_of "$1")" --json | jq -r '.events[] | select(.event == "result") | .attempt'
}

@test "promise 2: a worker stopped past its lease is unreachable, then back; one result counts" {
    begin one fail --lost-after 600 package:child etl1
    begin two fail --lost-after 600 package:child etl1
    stop_process "$(cat "$demo/etl1.pid")"
    await "etl1 is unreachable" server_in_state etl1 unreachable
    in_state "$(run_of one)" out_of_contact
    : >"$dir/go-one" # it ends while no process can report it
    await "one has ended" grep -q end "$dir/one"
    in_state "$(run_of one)" out_of_contact
    kill -0 "$(child_of two)"
    kill -CONT "$(cat "$demo/etl1.pid")"
    await "one is reported" ended "$(run_of one)"
    await "two is running again" in_state "$(run_of two)" running
    : >"$dir/go-two"
    await "two is reported" ended "$(run_of two)"
    for name in one two; do
        [ "$(status_of "$(run_of $name)")" = succeeded ]
        [ "$(happened $name result)" -eq 1 ]
        [ "$(happened $name evidence)" -eq 0 ]
        [ "$(said $name begin 1)" -eq 1 ]
        [ "$(said $name end 1)" -eq 1 ]
    done
}

# One stop serves all: calls with lost_after 8 s and each on_lost; those of the pool start on etl1,
# and etl2 takes over.
@test "promises 2 and 4: a worker stopped past lost_after: fail, rerun, hold; late results kept" {
    local name last first
    lbctl drain etl2 --reason 'all begin on etl1'
    begin fail fail package:child etl
    begin again rerun package:child etl
    begin stubborn rerun package:child etl stubborn=yes
    for name in hold-rerun hold-fail hold-succeed; do
        begin $name hold package:child etl
    done
    lbctl undrain etl2 --reason 'and go on there'
    stop_process "$(cat "$demo/etl1.pid")"

    await "fail is lost" ended "$(run_of fail)"
    [ "$(status_of "$(run_of fail)")" = lost ]
    for name in hold-rerun hold-fail hold-succeed; do
        await "$name is held" in_state "$(run_of $name)" held
    done
    for name in again stubborn; do
        await "$name has run on etl2" ended "$(run_of $name)"
        [ "$(status_of "$(run_of $name)")" = succeeded ]
        [ "$(said $name begin 2)" -eq 1 ]
        [ "$(said $name end 1)" -eq 0 ]
        # Attempt 1 had done its last before attempt 2 did its first.
        last=$(awk '$2 == 1 {t = $3} END {print t}' "$dir/$name")
        first=$(awk '$1 == "begin" && $2 == 2 {print $3}' "$dir/$name")
        echo "# $name: attempt 1 was silent $(((first - last) / 1000000)) ms" \
            "before attempt 2 began" >&3
        [ "$last" -lt "$first" ]
        gone "$(child_of $name)"
    done
    # The others were not ended: they may not be run again unless a person says so.
    for name in fail hold-rerun hold-fail hold-succeed; do
        kill -0 "$(child_of $name)"
        [ "$(said $name begin 2)" -eq 0 ]
    done

    lbctl release "$(run_of hold-rerun)" --rerun --reason 'it did no harm'
    lbctl release "$(run_of hold-fail)" --fail --reason 'it is half done'
    lbctl release "$(run_of hold-succeed)" --succeed --reason 'it had done its work'
    lbctl show "$(run_of hold-succeed)" | grep -q 'signed by administrator (serial .*): good'
    await "the released one has run again" ended "$(run_of hold-rerun)"
    [ "$(said hold-rerun begin 2)" -eq 1 ]

    # The old attempts end well while their worker is away; then it comes back with what they did.
    for name in fail hold-rerun hold-fail hold-succeed; do
        : >"$dir/go-$name"
        await "the old child of $name has ended" grep -q '^end 1 ' "$dir/$name"
    done
    kill -CONT "$(cat "$demo/etl1.pid")"
    for name in fail again stubborn hold-rerun hold-fail hold-succeed; do
        await "the late result of $name is kept" \
            sh -c "lbmon --event all --run $(run_of $name) --since 0 --until-now --json |
                grep -q '\"event\":\"evidence\"'"
    done
    for name in again stubborn hold-rerun; do
        [ "$(status_of "$(run_of $name)")" = succeeded ]
        [ "$(counted $name)" = 2 ]
        lbctl show "$(run_of $name)" | grep evidence | grep -q superseded
    done
    for name in fail hold-fail hold-succeed; do
        [ "$(counted $name)" = 1 ]
        lbctl show "$(run_of $name)" | grep evidence | grep -q late
    done
    [ "$(status_of "$(run_of fail)")" = lost ]
    [ "$(status_of "$(run_of hold-fail)")" = lost ]
    [ "$(status_of "$(run_of hold-succeed)")" = succeeded ]
    for name in fail again stubborn hold-rerun hold-fail hold-succeed; do
        [ "$(happened $name result)" -eq 1 ]
        [ "$(happened $name evidence)" -eq 1 ]
    done
}

@test "promises 4 and 8: a held run's child goes on when its server is back, until a decision" {
    local name text
    for name in ends rerun fail succeed cancel; do
        begin $name hold package:child etl1
    done
    stop_process "$(cat "$demo/etl1.pid")"
    for name in ends rerun fail succeed cancel; do
        await "$name is held" in_state "$(run_of $name)" held
    done
    kill -CONT "$(cat "$demo/etl1.pid")"
    for name in ends rerun fail succeed cancel; do
        await "the broker knows that $name still runs" \
            sh -c "lbctl explain $(run_of $name) | grep -q 'it still runs at etl1'"
    done
    # A later call that is not held has come and gone: a STOP would have been there before it.
    call package:child etl1 name=after "dir=$dir" >"$dir/run-after"
    : >"$dir/go-after"
    await "a call after that has ended" ended "$(run_of after)"
    for name in ends rerun fail succeed cancel; do
        in_state "$(run_of $name)" held
        kill -0 "$(child_of $name)"
    done

    : >"$dir/go-ends"
    await "the result of the one that ended by itself is kept" \
        sh -c "lbctl show $(run_of ends) | grep -q evidence"
    in_state "$(run_of ends)" held
    lbctl release "$(run_of ends)" --succeed --reason 'so says the evidence' >"$dir/said-ends"
    not grep -q 'still runs' "$dir/said-ends"
    [ "$(status_of "$(run_of ends)")" = succeeded ]

    for name in rerun fail succeed; do
        lbctl release "$(run_of $name)" --$name --reason 'of the test' >"$dir/said-$name"
    done
    lbctl cancel "$(run_of cancel)" --reason 'of the test' >"$dir/said-cancel"
    for name in rerun fail succeed cancel; do
        grep -q 'what still runs on etl1 is being stopped' "$dir/said-$name"
        await "the child of $name is ended" gone "$(child_of $name)"
        await "what $name did is kept" sh -c "lbctl show $(run_of $name) | grep -q evidence"
        [ "$(said $name end 1)" -eq 0 ]
    done
    await "the released one has run again" ended "$(run_of rerun)"
    [ "$(said rerun begin 2)" -eq 1 ]
    [ "$(status_of "$(run_of rerun)")" = succeeded ]
    [ "$(status_of "$(run_of fail)")" = lost ]
    [ "$(status_of "$(run_of succeed)")" = succeeded ]
    [ "$(status_of "$(run_of cancel)")" = cancelled ]
}

@test "a call's lost_after below the interval of heartbeats ends no child of a healthy server" {
    begin short rerun --lost-after 1 package:child etl1
    await "it runs longer than two heartbeats and more" \
        sh -c "[ \$(grep -c beat '$dir/short') -ge 40 ]"
    : >"$dir/go-short"
    await "it has ended" ended "$(run_of short)"
    [ "$(status_of "$(run_of short)")" = succeeded ]
    [ "$(happened short lost)" -eq 0 ]
    [ "$(said short begin 2)" -eq 0 ]
}

@test "a stopped keeper delays only its own child's report, which counts once" {
    local keeper
    begin slow fail package:child etl1
    keeper=$(ps -o ppid= -p "$(child_of slow)" | tr -d ' ')
    stop_process "$keeper"
    : >"$dir/go-slow"
    await "its child has ended" grep -q end "$dir/slow"
    begin other fail package:child etl1
    : >"$dir/go-other"
    await "another child is reported" ended "$(run_of other)"
    in_state "$(run_of slow)" running
    server_in_state etl1 up
    kill -CONT "$keeper"
    await "its child is reported" ended "$(run_of slow)"
    [ "$(status_of "$(run_of slow)")" = succeeded ]
    [ "$(happened slow result)" -eq 1 ]
}

@test "promise 8: a broker stopped past lost_after: nothing is lost, only rerun children end" {
    local name stopped
    begin stays fail package:child etl1
    begin ends fail package:child etl1
    begin held hold package:child etl1
    begin again rerun package:child etl1
    stop_process "$(cat "$demo/broker.pid")"
    await "the fence has ended the child that may be run again" gone "$(child_of again)"
    : >"$dir/go-ends"
    await "a child ends without a broker" grep -q end "$dir/ends"
    # Longer than lost_after and its margin: the last that a child did is that long after the last
    # renewal.
    stopped=$(date +%s)
    await "lost_after has passed" sh -c "[ \$((\$(date +%s) - $stopped)) -gt $((lost / 2 + 1)) ]"
    kill -CONT "$(cat "$demo/broker.pid")"
    await "what ended is reported" ended "$(run_of ends)"
    await "the one that was ended is run again" ended "$(run_of again)"
    [ "$(status_of "$(run_of again)")" = succeeded ]
    [ "$(said again begin 2)" -eq 1 ]
    [ "$(said again end 1)" -eq 0 ]
    for name in stays held; do
        kill -0 "$(child_of $name)"
        await "$name is known to run" in_state "$(run_of $name)" running
        : >"$dir/go-$name"
        await "$name ends" ended "$(run_of $name)"
    done
    for name in stays ends held; do
        [ "$(status_of "$(run_of $name)")" = succeeded ]
        [ "$(happened $name lost)" -eq 0 ]
        [ "$(happened $name result)" -eq 1 ]
        [ "$(said $name begin 1)" -eq 1 ]
    done
}

@test "promises 2 and 8: 200 cancels at any moment: each run ends once, and no slot leaks" {
    local run n status
    new_package race shell 'echo "begin $$" >>"$LB_PARAM_dir/race-$LB_PARAM_n"
sleep 0.15
sleep 0.01
echo end >>"$LB_PARAM_dir/race-$LB_PARAM_n"' 'parameters:
  n: {type: int, required: true}
  dir: {type: string, required: true}'
    deploy race etl
    python "$BATS_TEST_DIRNAME/many.py" cancel 200 7 package:race etl "dir=$dir" >"$dir/outcomes"
    [ "$(wc -l <"$dir/outcomes")" -eq 200 ]
    echo "# $(cut -d ' ' -f 3 "$dir/outcomes" | sort | uniq -c | tr -s ' \n' ' ')" >&3
    # An empty file belongs to a child that was ended between opening it and the first line.
    while read -r run n status; do
        [ "$(grep -c begin "$dir/race-$n" 2>/dev/null || :)" != 2 ]
        case $status in
        succeeded) grep -q end "$dir/race-$n" ;;
        cancelled) [ ! -s "$dir/race-$n" ] || gone "$(sed -n 's/^begin //p' "$dir/race-$n")" ;;
        *) false ;;
        esac
    done <"$dir/outcomes"
    grep -q succeeded "$dir/outcomes"
    grep -q cancelled "$dir/outcomes"
    [ "$(lbmon --event result --job package:race --since 0 --until-now --json | jq -r .run |
        sort | uniq -c | awk '$1 == 1' | wc -l)" -eq 200 ]
    [ -z "$(lbctl runs --json)" ]
}
