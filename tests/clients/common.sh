# What every script here begins with: `. ./common.sh`. The scripts are a stranger's terminal: AWS's own tools, the
# variables that `signalbox serve` prints, nothing of ours. tests/tests/all/clients.rs runs them.
#
#   ENDPOINT  the local cloud's address      DRIVEN  the file that good calls are noted in      DESK  a folder of this script's own
set -eu

ACCOUNT=111122223333
MIRROR=444455556666
export AWS_PAGER= AWS_DEFAULT_OUTPUT=json PYTHONUNBUFFERED=1
cd "$DESK"

# Every call that went well is noted, so that the test can say which operations nobody drove. Of SQS, version 1 of the CLI
# looks for an endpoint in its options only.
aws() {
    if [ "$1" = sqs ]; then command aws --endpoint-url "$ENDPOINT" "$@"; else command aws "$@"; fi || return
    printf '%s %s\n' "$1" "$2" >>"$DRIVEN"
}

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# is EXPECTED COMMAND...: what the command prints, with tabs and line ends as single spaces.
is() {
    expected=$1
    shift
    printed=$("$@") || fail "failed: $*"
    printed=$(printf '%s' "$printed" | tr '\t\n' '  ')
    [ "$printed" = "$expected" ] || fail "ran:      $*" "expected: $expected" "printed:  $printed"
}

# text EXPECTED AWS-ARGUMENTS...: the same of `aws ... --output text`.
text() {
    expected=$1
    shift
    is "$expected" aws "$@" --output text
}

# refused CODE OPERATION COMMAND...: the command fails, and the CLI tells of this code and operation.
refused() {
    code=$1 operation=$2
    shift 2
    if told=$("$@" 2>&1 >/dev/null); then fail "went well: $*"; fi
    case $told in
    *"An error occurred ($code) when calling the $operation operation"*) [ "$1" != aws ] || printf 'refused %s %s\n' "$2" "$3" >>"$DRIVEN" ;;
    *) fail "ran:      $*" "expected: ($code) when calling $operation" "told:     $told" ;;
    esac
}
