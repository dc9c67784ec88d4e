# Ways to run a step: SQL with bound parameters, packages of SSIS, plans, and what a server's
# administrator adds with a file; and the parameters that jobs declare.
load helpers

setup_file() {
    new_cluster etl1
    witness_folder "$demo/data"
    user=$(stat -c %u "$demo/etl1")
    as etl1 lbctl proxy new any --user "$user" --principal '*' --subsystem '*'
}
teardown_file() {
    demo=$(cat "$BATS_FILE_TMPDIR/demo")
    [ ! -e "$demo/pg/postmaster.pid" ] || as_postgres pg_ctl -D "$demo/pg" -m immediate stop
    end_cluster
}
setup() {
    enter
    n=$BATS_TEST_NUMBER
    job=job-$n
    data=$demo/data/$n
    etc=$demo/etl1/etc
}

# job_file [HEAD]: the steps come on standard input; the job is there when etl1 says so
job_file() {
    { printf 'job: %s\n%ssteps:\n' "$job" "${1:-}"; cat; } >"$etc/jobs/$job.yaml"
    await "etl1 offers $job" \
        sh -c "lbctl servers etl1 --json | jq -e '.jobs[] | select(.job == \"$job\")'"
}

# The worker asks its runner what has changed.
asked_again() {
    kill -HUP "$(cat "$demo/etl1.pid")"
}

# subsystem_file NAME TEXT
subsystem_file() {
    as etl1 mkdir -p "$etc/subsystems.d"
    printf 'subsystem: %s\n%s\n' "$1" "$2" >"$demo/text"
    as etl1 cp "$demo/text" "$etc/subsystems.d/$1.yaml"
    asked_again # the folder was not there when the worker started
}

# stand_in SUBSYSTEM NAME TEXT [LINE]: on this server it is a program that is made here
stand_in() {
    mkdir -p "$demo/fake"
    printf '#!/bin/sh\n%s\n' "$3" >"$demo/fake/$2"
    chmod 755 "$demo/fake" "$demo/fake/$2"
    subsystem_file "$1" "command: [$demo/fake/$2]
needs: [{path: $demo/fake/$2}]
${4:-}"
}

run_job() { # run_job [NAME=VALUE...]
    run call --wait "$job" etl1 "$@"
}

as_postgres() {
    setpriv --reuid postgres --regid postgres --clear-groups \
        env "PATH=$(echo /usr/lib/postgresql/*/bin):$PATH" "$@"
}

# What SQL makes of this, where it is pasted, is no name any more.
nasty="O'Neil\"); DROP TABLE names; -- \$(id) \\ :x {}"

@test "SQL runs on SQLite with its parameters bound, and hands back outputs" {
    sqlite3 "$data.db" 'CREATE TABLE names(name, n, full, rate)'
    give_servers "$data.db"
    job_file <<END
  - name: load
    subsystem: sql
    parameters:
      database: "sqlite:$data.db"
      name: "{{name}}"
      n: "{{n}}"
      full: true
      rate: 0.5
    run: |
      INSERT INTO names VALUES(:name, @n + 1, \$full, :rate);
      .mode list
      SELECT typeof(name) || ' ' || typeof(n) || ' ' || :lb_job FROM names;
      SELECT writefile(:lb_outputs, 'rows=' || count(*)) FROM names;
  - name: show
    subsystem: shell
    run: 'echo "rows: \$LB_PARAM_rows"'
    parameters: {rows: "{{step.load.outputs.rows}}"}
END
    run_job "name=$nasty" n=41
    field .status succeeded
    [ "$(sqlite3 "$data.db" 'SELECT name FROM names')" = "$nasty" ]
    [ "$(sqlite3 "$data.db" 'SELECT n, full, rate FROM names')" = "42|1|0.5" ]
    run lbctl logs "$(jq -r .run <<<"$output")"
    assert_has "text integer $job"
    assert_has "rows: 1"
    run lbctl show last --json
    not grep -q "O'Neil" <<<"$(jq -r '[.. | .argv? // empty] | tostring' <<<"$output")"
}

@test "a script of a package stops at its first error, which the outcome names with its line" {
    new_package stops sql "CREATE TABLE one(x);
INSERT INTO one VALUES(:x);
SELECT * FROM nosuch;
INSERT INTO one VALUES('not reached');" \
        'parameters:
  database: {type: string, required: true}
  x: {type: string, default: a}'
    deploy stops etl1
    run call --wait package:stops etl1 "database=sqlite:$data.db"
    field .status failed
    field '.steps[0].exit_code' 1
    assert_has 'exit 1 (it stopped at the first error): '
    assert_has 'near line 3: no such table: nosuch'
    [ "$(sqlite3 "$data.db" 'SELECT group_concat(x) FROM one')" = a ]
}

@test "psql gets parameters as variables of its own, and not in its command line" {
    stand_in pg psql "printf '%s\n' \"\$@\" >$data.argv; cat /dev/fd/3 >$data.set; cat >$data.sql
echo \"psql:x:3: ERROR:  no such relation
LINE 1: SELECT
        ^\" >&2
exit 3" 'parameters: psql
exit_codes: {3: {is: failed, means: the script stopped at its first error}}'
    job_file <<END
  - name: load
    subsystem: pg
    proxy: any
    parameters: {database: "service=wh", name: "{{name}}"}
    run: "SELECT :'name'"
END
    run_job "name=$nasty"
    field .status failed
    assert_has "exit 3 (the script stopped at its first error): psql:x:3: ERROR:  no such relation"
    [ "$(paste -sd' ' "$data.argv")" = \
        "-X -w -q -v ON_ERROR_STOP=1 -f /dev/fd/3 -f - -d service=wh" ]
    [ "$(cat "$data.sql")" = "SELECT :'name'" ]
    grep -qF "\\set name 'O\\047Neil\\042\\051\\073 DROP TABLE names" "$data.set"
    grep -qF "\\set lb_job '$job'" "$data.set"
}

@test "SQL runs on PostgreSQL, and its values come back as they were" {
    [ "$(id -u)" -eq 0 ] && id postgres && as_postgres initdb --version ||
        skip "there is no PostgreSQL here"
    local port
    port=$(free_port)
    mkdir "$demo/pg"
    chown postgres "$demo/pg"
    as_postgres initdb -D "$demo/pg" -A trust -U wh -N >"$demo/initdb.log" 2>&1
    as_postgres pg_ctl -D "$demo/pg" -w -l "$demo/pg/log" \
        -o "-p $port -k $demo/pg -h 127.0.0.1 -F" start
    new_package names sql "CREATE TABLE names(name text, n int);
INSERT INTO names VALUES(:'name', :n);
\\pset tuples_only on
\\pset format unaligned
\\o :lb_outputs
SELECT 'rows=' || count(*) FROM names;
\\o
SELECT 1/0;
INSERT INTO names VALUES('not reached', 0);" \
        'parameters:
  database: {type: string, required: true}
  name: {type: string, required: true}
  n: {type: int, default: 7}
outputs: {rows: {type: int}}'
    deploy names etl1
    run call --wait package:names etl1 \
        "database=postgresql://wh@127.0.0.1:$port/postgres" "name=$nasty"
    field .status failed
    field '.steps[0].outputs.rows' 1
    assert_has "ERROR:  division by zero"
    [ "$(as_postgres psql -X -At -h 127.0.0.1 -p "$port" -U wh postgres \
        -c 'SELECT name FROM names')" = "$nasty" ]
    run call --wait package:names etl1 "database=postgresql://wh@127.0.0.1:1/postgres" name=x
    field .status failed
    assert_has "exit 2 (no connection to the database): "
}

@test "SQL without a database, or with one of no known kind, says what is missing" {
    job_file <<END
  - {name: load, subsystem: sql, run: 'SELECT 1', parameters: {database: "{{database}}"}}
END
    run_job
    assert_has "nobody says which database"
    run_job database=wh
    assert_has "'wh' is no database of this subsystem: expected sqlite:PATH"
}

@test "dtexec gets typed parameters and its exit codes are said in words" {
    local code is
    stand_in ssis dtexec "printf '%s\n' \"\$@\" >$data.argv
case \${LB_PARAM_code:-0} in 0) ;; *) exit \"\$LB_PARAM_code\" ;; esac" \
        'environment: {SSIS_SERVER: sql1}'
    new_package load ssis '\SSISDB\sales\load\load.dtsx' \
        'parameters:
  code: {type: int, default: 0}
  day: {type: date, default: "{{as_of}}"}
  full: {type: bool, default: true}
  table: {type: string, required: true}'
    deploy load etl1
    job_file <<END
  - name: one
    package: load
    proxy: any
    parameters: {code: "{{code}}", day: 2026-11-21, table: "{{table}}"}
END
    run_job 'table=a b;c'
    field .status succeeded
    [ "$(paste -sd'|' "$data.argv")" = '/ISServer|\SSISDB\sales\load\load.dtsx|/Server|sql1'`
        `'|/Par|$ServerOption::SYNCHRONIZED(Boolean);True|/Par|$Package::code(Int32);0'`
        `'|/Par|$Package::day(DateTime);2026-11-21|/Par|$Package::full(Boolean);True'`
        `'|/Par|$Package::table(String);a b;c' ]
    while read -r code is words; do
        run_job table=x code="$code"
        field .status "$is"
        assert_has "exit $code ($words)"
    done <<END
1 failed the SSIS package failed
3 cancelled the SSIS package was cancelled by its user
4 failed dtexec could not find the SSIS package
5 failed dtexec could not load the SSIS package
6 failed dtexec could not read its command line
END
    job=$job-text
    job_file <<END
  - {name: one, subsystem: ssis, proxy: any, run: '\\SSISDB\\sales\\load\\other.dtsx'}
END
    run_job
    field .status succeeded
    grep -qxF '\SSISDB\sales\load\other.dtsx' "$data.argv"
}

@test "python holds nothing back, also when it is killed" {
    job_file <<END
  - name: slow
    subsystem: python
    run: "print('first words'); import time; time.sleep(60)"
    timeout: 2s
END
    run_job
    field .status timed_out
    run lbctl logs "$(jq -r .run <<<"$output")"
    assert_has "first words"
}

@test "a plan on a server says that this lbsubmit does not drive it" {
    new_package plan parent 'parent: x' ''
    deploy plan etl1
    job_file <<END
  - {name: one, package: plan, proxy: any}
END
    run_job
    field .status failed
    assert_has "this server's lbsubmit does not drive this plan"
    run lbctl show "$(jq -r .run <<<"$output")" --json
    assert_has '/lbsubmit","drive","/'
}

@test "an administrator adds a subsystem with a file, for packages and for texts" {
    subsystem_file perl 'description: Perl scripts
command: [/usr/bin/perl, -w]
text: [/usr/bin/perl, -we]
environment: {WHO: perl}
needs: [{command: perl}]
exit_codes: {7: {is: cancelled, means: there was nothing to do}, 9: {is: failed, means: no luck}}'
    new_package camel perl 'print "$ENV{WHO} $ENV{LB_PARAM_x} $0\n"; exit $ENV{LB_PARAM_x};' \
        'parameters: {x: {type: int, default: 0}}'
    deploy camel etl1
    job_file <<END
  - {name: one, package: camel, proxy: any, parameters: {x: "{{x}}"}}
  - {name: two, subsystem: perl, proxy: any, run: 'print "text of \$ENV{WHO}\n"; exit 0'}
END
    run_job x=0
    field .status succeeded
    run lbctl logs "$(jq -r .run <<<"$output")"
    assert_has "perl 0 /"
    assert_has "text of perl"
    run_job x=9
    field .status failed
    assert_has "exit 9 (no luck)"
    run_job x=7
    field '.steps[0].package' cancelled
    assert_has "exit 7 (there was nothing to do)"
    run as etl1 lbctl subsystem show perl
    assert_has "/usr/bin/perl -w"
    assert_has "7 is cancelled: there was nothing to do"
}

@test "what a subsystem needs decides whether its jobs come here" {
    subsystem_file rare 'command: [/usr/bin/env]
text: [/usr/bin/env, sh, -c]
needs: [{path: /nowhere/rare}]'
    job_file <<END
  - {name: one, subsystem: rare, proxy: any, run: 'true'}
END
    await "etl1 says what it needs" sh -c "lbctl servers etl1 --json |
        jq -e '.needs[] | select(.need | startswith(\"path:/nowhere/rare\"))'"
    r=$(call "$job" etl1)
    await "it is parked" in_state "$r" parked
    run lbctl explain "$r"
    assert_has "path:/nowhere/rare"
    subsystem_file rare 'command: [/usr/bin/env]
text: [/usr/bin/env, sh, -c]'
    await "it has ended" ended "$r"
    [ "$(status_of "$r")" = succeeded ]
}

@test "a job whose subsystem is wrong is not run, and the place of each error is said" {
    subsystem_file bad 'command: [/usr/bin/env]
parameters: psqll
exit_codes: {400: failed}'
    job_file <<END
  - {name: one, subsystem: bad, proxy: any, run: x}
END
    r=$(call "$job" etl1)
    await "the reason is known" sh -c "lbctl explain $r | grep -q subsystems.d/bad.yaml"
    run lbctl explain "$r" --json
    assert_has "subsystems.d/bad.yaml:4:14: an exit code is a number from 0 to 255"
    lbctl cancel "$r" --reason test
    run as etl1 lbctl subsystem show bad
    [ "$status" -eq 1 ]
    assert_has "subsystems.d/bad.yaml:3:13: "
    assert_has "not 'psqll' (did you mean 'psql'?)"
    assert_has "subsystems.d/bad.yaml:4:14: an exit code is a number from 0 to 255"
    as etl1 lbctl subsystem list --json | python "$BATS_TEST_DIRNAME/schema.py" subsystem 6
    run as etl1 lbctl subsystem list
    assert_has "dtexec"
    run as etl1 lbctl subsystem shwo bad
    [ "$status" -eq 2 ]
    assert_has "did you mean 'show'?"
    as etl1 rm "$etc/subsystems.d/bad.yaml"
    run as etl1 lbctl subsystem show bad
    [ "$status" -eq 1 ]
    assert_has "this server has no subsystem 'bad' (subsystems.d/bad.yaml)"
}

@test "a file takes the place of a built-in subsystem, but not of shell" {
    subsystem_file python 'command: [/usr/bin/env, MARK=here, /usr/bin/python3, -u]
text: [/usr/bin/env, MARK=here, /usr/bin/python3, -u, -c]'
    job_file <<END
  - {name: one, subsystem: python, run: "import os; print('mark', os.environ['MARK'])"}
END
    run_job
    field .status succeeded
    run lbctl logs "$(jq -r .run <<<"$output")"
    assert_has "mark here"
    as etl1 rm "$etc/subsystems.d/python.yaml"
    run_job
    field .status failed
    run "$LB_BIN/lbparse" subsystem subsystems.d/shell.yaml <<<'{subsystem: shell, command: [/x]}'
    [ "$status" -eq 3 ]
    assert_has "subsystems.d/shell.yaml:1:13: no file takes the place of subsystem 'shell'"
}

@test "a job declares its parameters, which are judged before anything runs" {
    job_file 'parameters:
  day: {type: date, default: "{{as_of}}", description: the day to load}
  n: {type: int, min: 1}
  table: {type: string, required: true}
' <<END
  - name: one
    subsystem: shell
    run: 'echo "\$LB_PARAM_day \$LB_PARAM_n \$LB_PARAM_table" >>$data'
    parameters: {day: "{{day}}", n: "{{n}}", table: "{{table}}"}
END
    run_job table=a n=3
    field .status succeeded
    grep -qE '^2[0-9]{3}-[0-9]{2}-[0-9]{2} 3 a$' "$data"
    run_job n=3
    field .status refused
    assert_has "job '$job': parameter 'table' (string) is required and has no value"
    run_job table=a n=x
    field .status refused
    assert_has "job '$job': parameter 'n' = 'x': is not of type int"
    run_job table=a n=0
    assert_has "must be at least 1"
    run_job table=a tabel=b
    assert_has "job '$job' has no parameter 'tabel'"
    [ "$(wc -l <"$data")" -eq 1 ]
    run lbsubmit --job "$job" --server etl1 -p table=a -p n=x
    [ "$status" -eq 2 ]
    assert_has "$job: "
    assert_has "expected an int"
    run lbsubmit --job "$job" --server etl1 -p n=2
    [ "$status" -eq 2 ]
    assert_has "table"
}

@test "a value that a job declares as sensitive is in no variable of its steps" {
    job_file 'parameters:
  password: {type: string, sensitive: true, required: true}
' <<END
  - name: one
    subsystem: shell
    run: 'env | grep -c s3cret || true; jq -r .p "\$LB_PARAMETERS" | md5sum >$data'
    parameters: {p: "{{password}}"}
END
    run_job password=s3cret-password
    [ "$(cut -d' ' -f1 "$data")" = "$(echo s3cret-password | md5sum | cut -d' ' -f1)" ]
    run lbctl logs "$(jq -r .run <<<"$output")"
    [ "$output" = 0 ] || [[ $output == *" 0" ]] || assert_has 0
}

@test "all errors of a job file are said at once" {
    cat >"$etc/jobs/$job.yaml" <<END
job: $job
concurency: 2
parameters:
  table: {type: text}
steps:
  - {name: one, subsystem: shell, run: x, timeout: soon}
  - {name: two, package: nothing}
  - {name: two, subsystem: parent, run: x}
END
    run as etl1 lbworker check
    rm "$etc/jobs/$job.yaml"
    assert_has "$job.yaml:2:1: unknown key 'concurency' (did you mean 'concurrency'?)"
    assert_has "$job.yaml:4:17: unknown type 'text'"
    assert_has "$job.yaml:6:52: "
    assert_has "$job.yaml:7:26: "
    assert_has "$job.yaml:8:12: there are two steps named 'two'"
}
