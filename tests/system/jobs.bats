# Jobs on a server: steps in order, what one passes to the next, tries, branches on success and
# failure, `always`, times, and invalid job files.
load helpers

setup_file() {
    new_cluster etl1 etl2
    new_package step shell 'echo "$LB_PARAM_name" >>"$LB_PARAM_trace"; eval "$LB_PARAM_text"' \
        'parameters:
  name: {type: string, required: true}
  trace: {type: string, required: true}
  text: {type: string, default: "true"}
outputs:
  rows: {type: int}'
    deploy step etl
}
teardown_file() { end_cluster; }
setup() {
    enter
    trace=$demo/trace-$BATS_TEST_NUMBER
    job=job-$BATS_TEST_NUMBER
}

# job_file: the steps come on standard input; the job is there when etl1 says so
job_file() {
    { printf 'job: %s\n%ssteps:\n' "$job" "${1:-}"; cat; } >"$demo/etl1/etc/jobs/$job.yaml"
    await "etl1 offers $job" \
        sh -c "lbctl servers etl1 --json | jq -e '.jobs[] | select(.job == \"$job\")'"
}

run_job() { # run_job [NAME=VALUE...]
    run call --wait "$job" etl1 "$@"
}

# another_version HASH: is a version of the job with another hash there?
another_version() {
    lbctl servers etl1 --json | jq -e --arg h "$1" --arg job "$job" \
        '.jobs[] | select(.job == $job and .job_hash != $h)'
}

traced() { # traced TEXT: the trace, its lines joined by spaces
    [ "$(paste -sd' ' "$trace")" = "$1" ] || {
        echo "the trace is: $(cat "$trace"), not: $1"
        echo "$output"
        return 1
    }
}

@test "steps run in order, and the outcome lists each of them" {
    job_file <<END
  - {name: one, package: step, parameters: {name: one, trace: "$trace"}}
  - {name: two, package: step@1.0.0, parameters: {name: two, trace: "$trace"}}
  - {name: three, subsystem: shell, run: 'echo three >>$trace'}
END
    run_job
    field .status succeeded
    traced "one two three"
    field '[.steps[].name] | join(" ")' "one two three"
}

@test "parameters, as_of, server, literals and outputs of an earlier step come as whole values" {
    job_file <<END
  - name: count
    package: step
    parameters: {name: count, trace: "$trace", text: 'echo rows=41 >>"\$LB_OUTPUTS"'}
  - name: show
    subsystem: shell
    parameters:
      rows: "{{step.count.outputs.rows}}"
      table: "{{table}}"
      when: "{{as_of}}"
      where: "{{server}}"
      mode: fast
    run: |
      echo "\$LB_PARAM_rows \$LB_PARAM_table \$LB_PARAM_where \$LB_PARAM_mode" >>$trace
      echo "\$LB_PARAM_when" >$trace-when
END
    run_job 'table=orders; rm -rf $HOME'
    field .status succeeded
    traced 'count 41 orders; rm -rf $HOME etl1 fast'
    grep -q '^20..-..-..T' "$trace-when"
}

@test "a step is retried at its interval until it succeeds" {
    job_file <<END
  - name: flaky
    package: step
    parameters:
      name: try
      trace: "$trace"
      text: 'date +%s%N >>$trace-times; [ \$(wc -l <$trace) -ge 3 ]'
    retry: {attempts: 4, interval: 300ms}
END
    run_job
    field .status succeeded
    traced "try try try"
    [ $(($(tail -1 "$trace-times") - $(head -1 "$trace-times"))) -ge 600000000 ]
    lbctl show "$(jq -r .run <<<"$output")" --json |
        jq -e '[.job_outcome.steps[].tries] == [1, 2, 3]'
}

@test "a step that waits for its next try takes no slot" {
    local runs=() n i
    n=$(lbctl servers etl1 --json | jq .slots)
    job_file <<END
  - name: waits
    subsystem: shell
    run: 'echo x >>$trace; exit 1'
    retry: {attempts: 2, interval: 1h}
END
    for ((i = 0; i < n; i++)); do runs+=("$(call "$job" etl1)"); done
    await "all have failed once" sh -c "[ \$(wc -l <$trace) -eq $n ]"
    job=$job-quick
    job_file <<END
  - {name: quick, subsystem: shell, run: 'true'}
END
    run timeout 60 lbsubmit --job "$job" --server etl1
    [ "$status" -eq 0 ]
    for i in "${runs[@]}"; do lbctl cancel "$i" --reason test; done
    for i in "${runs[@]}"; do await "it has ended" ended "$i"; done
    [ "$(wc -l <"$trace")" -eq "$n" ]
}

@test "tries are for the exit codes that are named, and end at their number" {
    job_file <<END
  - name: other
    package: step
    parameters: {name: a, trace: "$trace", text: 'exit 4'}
    retry: {attempts: 3, interval: 10ms, exit_codes: [75]}
    on_failure: next
  - name: busy
    package: step
    parameters: {name: b, trace: "$trace", text: 'exit 75'}
    retry: {attempts: 3, interval: 10ms, exit_codes: [75]}
END
    run_job
    field .status failed
    traced "a b b b"
}

@test "a failure that the job handles is no failure of the run, and its step says failed" {
    job_file <<END
  - name: one
    package: step
    parameters: {name: one, trace: "$trace", text: 'exit 4'}
    on_failure: next
  - name: two
    package: step
    parameters: {name: two, trace: "$trace", text: 'exit 5'}
    on_failure: quit-success
  - {name: three, package: step, parameters: {name: three, trace: "$trace"}}
END
    run_job
    [ "$status" -eq 0 ]
    field .status succeeded
    field .package succeeded
    field '[.steps[].package] | join(" ")' "failed failed"
    traced "one two"
}

@test "a failure ends the job, and later steps do not run" {
    job_file <<END
  - name: one
    package: step
    parameters: {name: one, trace: "$trace", text: 'echo "no such table" >&2; exit 4'}
  - {name: two, package: step, parameters: {name: two, trace: "$trace"}}
END
    run_job
    field .status failed
    field .job failed
    traced one
    assert_has "no such table"
}

@test "a goto on failure handles the failure" {
    job_file <<END
  - name: one
    package: step
    parameters: {name: one, trace: "$trace", text: 'exit 4'}
    on_failure: goto repair
  - {name: two, package: step, parameters: {name: two, trace: "$trace"}, on_success: quit-success}
  - {name: repair, package: step, parameters: {name: repair, trace: "$trace"}}
END
    run_job
    field .job succeeded
    traced "one repair"
    field '[.steps[].package] | join(" ")' "failed succeeded"
}

@test "quit-success and quit-failure end the job there" {
    job_file <<END
  - {name: one, package: step, parameters: {name: one, trace: "$trace"}, on_success: quit-success}
  - {name: two, package: step, parameters: {name: two, trace: "$trace"}}
END
    run_job
    field .status succeeded
    traced one
    sed -i 's/quit-success/quit-failure/' "$demo/etl1/etc/jobs/$job.yaml"
    await "the other version is there" another_version \
        "$(lbctl show "$(jq -r .run <<<"$output")" --json | jq -r .job_hash)"
    run_job
    field .job failed
    traced "one one"
}

@test "an always step runs after success, failure, timeout and cancel, and changes no outcome" {
    local r what
    job_file <<END
  - name: work
    package: step
    parameters: {name: work, trace: "$trace", text: "{{text}}"}
    timeout: 1s
  - {name: more, package: step, parameters: {name: more, trace: "$trace"}}
  - {name: clean, always: true, subsystem: shell, run: 'echo clean >>$trace; exit 1'}
END
    run_job text=:
    field .job succeeded
    traced "work more clean"
    rm "$trace"
    run_job 'text=exit 4'
    field .status failed
    traced "work clean"
    rm "$trace"
    run_job 'text=exec sleep 1000'
    field .status timed_out
    traced "work clean"
    rm "$trace"
    r=$(call "$job" etl1 'text=exec sleep 1000')
    await "it runs" test -s "$trace"
    lbctl cancel "$r" --reason test
    await "it has ended" ended "$r"
    [ "$(status_of "$r")" = cancelled ]
    traced "work clean"
}

@test "a step's timeout ends its child, and the job has timed out" {
    job_file <<END
  - {name: slow, subsystem: shell, run: 'echo \$\$ >$trace; exec sleep 1000', timeout: 500ms}
END
    run_job
    field .status timed_out
    gone "$(cat "$trace")"
}

@test "success_exit_codes override what the package says" {
    job_file <<END
  - name: one
    package: step
    parameters: {name: one, trace: "$trace", text: 'exit 2'}
    success_exit_codes: [0, 2]
  - {name: two, package: step, parameters: {name: two, trace: "$trace"}}
END
    run_job
    traced "one two"
    field .job succeeded
}

@test "concurrency is a condition of placement, and explain names it" {
    local a b
    job_file 'concurrency: 1
' <<END
  - name: one
    subsystem: shell
    run: 'echo x >>$trace; while [ ! -e $trace-go ]; do sleep 0.05; done'
END
    a=$(call "$job" etl1)
    await "the first runs" test -s "$trace"
    b=$(call "$job" etl1)
    run lbctl explain "$b"
    assert_has "which is its limit"
    [ "$(wc -l <"$trace")" = 1 ]
    : >"$trace-go"
    await "both end" ended "$b"
    [ "$(wc -l <"$trace")" = 2 ]
}

@test "a call runs the version that it was signed for, even when a newer one has arrived" {
    local r
    job_file <<END
  - {name: one, subsystem: shell, run: 'echo old >>$trace'}
END
    lbctl drain etl1 --reason test
    r=$(call "$job" etl1)
    sed -i 's/echo old/echo new/' "$demo/etl1/etc/jobs/$job.yaml"
    await "the other version is there" another_version "$(lbctl show "$r" --json | jq -r .job_hash)"
    [ ! -e "$trace" ]
    lbctl undrain etl1
    await "it has ended" ended "$r"
    [ "$(status_of "$r")" = succeeded ]
    run_job
    field .status succeeded
    traced "old new"
}

@test "lbworker check and the server's trouble name broken job files; other jobs go on" {
    local jobs=$demo/etl1/etc/jobs
    job_file <<END
  - {name: one, subsystem: shell, run: 'echo x >>$trace'}
END
    printf '%s\n' 'job: broken-one' 'steps:' \
        '  - {name: a, subsystem: shell, run: "true", on_failure: goto nowhere}' \
        >"$jobs/broken-one.yaml"
    printf 'job: broken-two\nsteps: [\n' >"$jobs/broken-two.yaml"
    printf 'job: broken-three\nsteps:\n  - {name: a, package: not-installed}\n' \
        >"$jobs/broken-three.yaml"
    printf 'job: other-name\nsteps:\n  - {name: a, subsystem: shell, run: "true"}\n' \
        >"$jobs/broken-four.yaml"
    printf '%s\n' 'job: broken-five' 'steps:' \
        '  - {name: a, subsystem: shell, run: "true", nonsense: 1}' \
        '  - {name: a, subsystem: shell, run: "true"}' >"$jobs/broken-five.yaml"
    await "the server says how many" \
        sh -c "lbctl servers etl1 --json | jq -e '.facts.jobs_with_trouble == 5'"
    run as etl1 lbworker check
    echo "$output"
    [ "$status" -eq 1 ]
    for what in broken-one.yaml:3 broken-two.yaml: broken-three.yaml broken-four.yaml \
        broken-five.yaml:3; do
        assert_has "$what"
    done
    assert_has nowhere
    assert_has not-installed
    assert_has nonsense
    run lbctl servers
    assert_has "5 job files are wrong"
    run_job
    field .status succeeded
    rm "$jobs"/broken-*.yaml
    await "the trouble is over" \
        sh -c "lbctl servers etl1 --json | jq -e '.facts.jobs_with_trouble == 0'"
}

@test "the servers of a pool share the work" {
    local i runs=() servers
    for i in $(seq 12); do
        runs+=("$(call package:step etl name=x trace="$trace" 'text=sleep 0.2')")
    done
    for i in "${runs[@]}"; do await "it ends" ended "$i"; done
    servers=$(lbctl history --job package:step --json -n 12 | jq -r .server | sort | uniq -c)
    echo "$servers"
    [ "$(wc -l <<<"$servers")" = 2 ]
    [ "$(wc -l <"$trace")" = 12 ]
}

@test "a job file that others may write is ignored and named" {
    job_file <<END
  - {name: one, subsystem: shell, run: 'echo x >>$trace'}
END
    chmod 666 "$demo/etl1/etc/jobs/$job.yaml"
    kill -HUP "$(cat "$demo/etl1.pid")"
    await "the server says that one is wrong" \
        sh -c "lbctl servers etl1 --json | jq -e '.jobs_with_trouble == 1'"
    run as etl1 lbworker check
    [ "$status" -eq 1 ]
    assert_has "$job.yaml"
    run call --wait --start-within 1 "$job" etl1
    field .status unreachable
    [ ! -e "$trace" ]
}
