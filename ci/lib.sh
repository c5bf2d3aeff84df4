# shellcheck shell=bash
# Sourced by the scripts of this folder: where things are, how a check skips, how packages come in.
#
# A check exits 0 when it passed or could not run (then it says `SKIP name: reason`), anything else
# is a failure. What it downloads or builds for later lies in $CACHE, outside the repository.

set -euo pipefail
export LC_ALL=C CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${ANNULET_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/annulet-ci}
CHECK=${0##*/}
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
cd "$ROOT"
# Some tests hold the two ends of a thousand connections.
[ "$(ulimit -Sn)" = unlimited ] || [ "$(ulimit -Sn)" -ge 20000 ] ||
    ulimit -Sn 20000 2>/dev/null || ulimit -Sn "$(ulimit -Hn)"

# skip REASON: end this check without a verdict.
skip() {
    echo "SKIP $CHECK: $*"
    exit 0
}

# fail REASON: end this check as failed.
fail() {
    echo "FAILED $CHECK: $*" >&2
    exit 1
}

# as_root COMMAND...: run a command as root, if that is possible without a question.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

# need COMMAND=PACKAGE...: install the packages whose command is missing. False if one stays missing.
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || [ -x "${pair%%=*}" ] || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || return 1
    as_root apt-get -qq update >/dev/null 2>&1 || :
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 </dev/null || :
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || [ -x "${pair%%=*}" ] || return 1
    done
}

# sum_tests LOG: one line with the tests that LOG's `test result:` lines count. False if none ran.
sum_tests() {
    awk '/^test result:/ {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed/) passed += $(i - 1)
                if ($i ~ /^failed/) failed += $(i - 1)
                if ($i ~ /^ignored/) ignored += $(i - 1)
            }
        }
        END {
            printf "tests: %d passed, %d failed, %d skipped\n", passed, failed, ignored
            exit passed + failed == 0
        }' "$1"
}

# terse: of a test run, all but the tests that passed and what they printed.
terse() {
    awk '/^successes:$/ { passed = 1 }
        /^(failures:$|test result:)/ { passed = 0 }
        !passed && !/^test .* \.\.\. (ok|ignored.*)$/ { print; fflush() }'
}

# run_tests CARGO-ARGS...: `cargo test` with those arguments (and with the tests in the array
# `leave_out` left out), then the tests that skipped themselves
# (a test prints `SKIP name: reason`), then the failed ones and the sum. A skip that ci/skips-allowed
# does not list fails.
leave_out=()
run_tests() {
    local log status=0 skips
    log=$(mktemp)
    cargo test "$@" -- --show-output "${leave_out[@]/#/--skip=}" 2>&1 | tee "$log" | terse || status=$?
    skips=$(grep -aE '^SKIP ' "$log" | sort -u || :)
    if [ -n "$skips" ]; then
        printf 'tests that skipped themselves:\n%s\n' "$skips"
        if grep -vE -f <(grep -vE '^(#|$)' "$ROOT/ci/skips-allowed") <<<"$skips"; then
            echo "the skips printed last are not listed in ci/skips-allowed"
            status=1
        fi
    fi
    sed -nE 's/^(test .*) \.\.\. FAILED$/FAILED \1/p' "$log"
    sum_tests "$log" || status=1
    rm -f "$log"
    return "$status"
}

# built KIND COMMAND CARGO-ARGS...: build with cargo and print `name<TAB>path` of each program of that kind
# (`example`, `test`, `lib`, `bin`, or several with `|` between), as cargo's own messages name them.
built() {
    local kind=$1 command=$2 messages
    shift 2
    messages=$(mktemp)
    if ! cargo "$command" --message-format=json-render-diagnostics "$@" >"$messages"; then
        rm -f "$messages"
        return 1
    fi
    { grep '"reason":"compiler-artifact"' "$messages" || :; } |
        { grep -E "\"kind\":\[\"($kind)\"" || :; } |
        sed -n 's/.*"target":{[^}]*"name":"\([^"]*\)".*"executable":"\([^"]*\)".*/\1\t\2/p'
    rm -f "$messages"
}
