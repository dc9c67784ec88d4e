#!/bin/sh
# Are the laws any good? Each patch here puts one bug into the cores; the simulator must find it,
# and by the law that the patch names.
#
# usage: tests/mutants/run.sh [--check] [PART-OF-NAME...]
#   --check        only whether each patch still applies and names laws that exist (a moment;
#                  `make walls` does it)
#   PART-OF-NAME   only the patches whose file names contain one of these
#
# The first line of a patch is `law: LAW[, LAW...]: what the bug is, in one sentence`. The rule: of
# the seeds 1, 2, ... SEEDS (1,000) the first that fails must break that law (one of those, where
# several are equally right). The seeds that once failed (tests/sim/regressions) are not run: they
# would make it too easy. All happens in a copy of the tree, built without the bugs first, where no
# seed may fail.
cd "$(dirname "$0")/../.." || exit 1
seeds=${SEEDS:-1000}
make=${MAKE:-make}
check=
[ "${1:-}" != --check ] || { check=1 && shift; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
tree=$work/tree
log=$work/log

laws_of() { sed -n '1s/^law: \([A-Z_, ]*\): .*/\1/p' "$1" | tr -d ,; }

# Says what is wrong with a patch before anything is tried.
judge_form() { # judge_form PATCH
    laws=$(laws_of "$1")
    [ -n "$laws" ] || { echo "its first line is not \`law: LAW: what the bug is\`" && return; }
    for law in $laws; do
        grep -q "^    X($law, " tests/sim/laws.h ||
            echo "tests/sim/laws.h has no law $law: name one that it has"
    done
    git apply --check "$1" 2>"$log" ||
        echo "it does not apply any more: make the same bug in the code of today" \
            "($(sed -n '1s/^error: //p' "$log"))"
}

now() { date +%s; }

# What the first failing seed of the built simulator says: SEED LAW TEXT; nothing: all have passed.
first_failure() {
    (cd "$tree" && build/test/sim --seeds "$seeds" --regressions /dev/null \
        --until-failure --shrink-for 0s) >"$log" 2>&1
    sed -n 's/^first failure: //p' "$log"
}

build() {
    $make --no-print-directory -C "$tree" -j"$(nproc)" B=build SAN= build/test/sim >"$log" 2>&1
}

# Prints "SEED LAW" and nothing else if the mutant is caught as it should be; else a sentence.
try() { # try PATCH
    git -C "$tree" apply "$1" 2>/dev/null || { echo "it does not apply to the copy" && return; }
    if build; then
        found=$(first_failure)
        law=$(echo "$found" | cut -d' ' -f2)
        if [ -z "$found" ]; then
            echo "no law is broken in $seeds seeds: give the simulator the fault" \
                "or the law that is missing; if this bug changes nothing that anybody was" \
                "promised, drop the patch"
        elif laws_of "$1" | tr ' ' '\n' | grep -qx "$law"; then
            echo "$found" | cut -d' ' -f1,2
        else
            echo "another law caught it: name that one, too, if it is as right," \
                "or make the bug smaller: seed $found"
        fi
    else
        echo "it does not build; make the same bug in the code of today: $(grep -m1 'error' "$log")"
    fi
    git -C "$tree" apply -R "$1"
}

chosen() { # chosen PATCH PART-OF-NAME...
    name=$1
    shift
    [ $# -gt 0 ] || return 0
    for part; do
        case $name in *"$part"*) return 0 ;; esac
    done
    return 1
}

chosen_some() { # is there a patch that these parts of names choose?
    for patch in tests/mutants/[0-9]*.patch; do
        chosen "$(basename "$patch" .patch)" "$@" && return 0
    done
    return 1
}

chosen_some "$@" || {
    echo "mutants: no patch in tests/mutants has '$*' in its name" >&2
    exit 2
}

if [ -z "$check" ]; then
    mkdir "$tree"
    git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$tree"
    build || { echo "mutants: the tree does not build:" && tail -20 "$log" && exit 1; }
    found=$(first_failure)
    [ -z "$found" ] || {
        echo "mutants: a seed fails without any bug of ours; mend that first: seed $found"
        exit 1
    }
    printf '%-3s %-46s %-22s %6s %8s\n' no bug "law that caught it" seed seconds
fi

passed=0
failed=0
for patch in tests/mutants/[0-9]*.patch; do
    file=$(basename "$patch" .patch)
    chosen "$file" "$@" || continue
    began=$(now)
    wrong=$(judge_form "$patch")
    [ -n "$wrong" ] || [ -n "$check" ] || {
        result=$(try "$PWD/$patch")
        case $result in
        [0-9]*) printf '%-3s %-46s %-22s %6s %8s\n' "${file%%-*}" "${file#*-}" "${result#* }" \
            "${result% *}" $(($(now) - began)) ;;
        *) wrong=$result ;;
        esac
    }
    if [ -n "$wrong" ]; then
        printf '%s: FAILED: %s\n' "$patch" "$wrong"
        failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
done
if [ -n "$check" ]; then
    [ "$failed" -eq 0 ] && echo "lint: all $passed mutants apply"
else
    echo "mutants: $passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
