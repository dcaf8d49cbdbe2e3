#!/usr/bin/env bats
# Every operation killed (SIGKILL) at every step: before and after a step is written to the journal,
# at every system call that changes files, and before and after every request to the engine.

load harness
load operations

# Where an operation of learn can be killed, a line each:
#   journal write N       before the Nth line is written, so after the effect of the step before
#   journal fdatasync N   when it is written, before the effect that it announces
#   hook fdatasync N      the same, while a hook waits for its start
#   files CALL N          at a system call
#   request before|after N
kill_points() {
    local call count number
    for call in write fdatasync; do
        count=$(counted "journal:$call")
        for ((number = 1; number <= count; number++)); do
            printf 'journal %s %s\n' "$call" "$number"
        done
    done
    for number in $HOOKS; do
        printf 'hook fdatasync %s\n' "$number"
    done
    for call in rename renameat2 mkdir symlink link linkat unlink unlinkat rmdir; do
        count=$(counted "$call")
        for ((number = 1; number <= ${count:-0}; number++)); do
            printf 'files %s %s\n' "$call" "$number"
        done
    done
    for ((number = 1; number <= REQUESTS; number++)); do
        printf 'request before %s\nrequest after %s\n' "$number" "$number"
    done
}

kill_at() { # POINT
    local kind what number
    read -r kind what number <<<"$1"
    case $kind in
        request) run_with_rule "$number:$what=KILL" ;;
        files)
            run_with_rule "" strace -o /dev/null -e "trace=$what" \
                -e "inject=$what:signal=KILL:when=$number"
            ;;
        journal | hook)
            run_with_rule "" strace -o /dev/null -P "$JOURNAL" -P "$JOURNAL.committed" \
                -e "trace=$what" -e "inject=$what:signal=KILL:when=$number"
            ;;
    esac
}

# One case of each kind of each operation, or every one.
@test "every operation, killed at each of its steps" {
    local row kind point
    sow
    proxy_start
    for row in "${OPERATIONS[@]}"; do
        learn "$row"
        kill_points >"$BATS_TEST_TMPDIR/points"
        for kind in 'journal write' 'journal fdatasync' hook files 'request before' 'request after'; do
            pick 1 < <(grep "^$kind " "$BATS_TEST_TMPDIR/points")
            for point in "${PICKED[@]}"; do
                begin
                kill_at "$point"
                verdict "killed at '$point'"
            done
        done
        nothing
    done
    summary
    ((STRUCK > CASES / 2))
}
