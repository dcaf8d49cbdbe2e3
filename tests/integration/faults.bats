#!/usr/bin/env bats
# Every request to the engine of every operation broken in each way that the proxy knows, and system
# calls on files that find the disk full or failing.

load harness
load operations

FAULTS=(refuse error lost cut=20 hang stall)

# A wait for the engine has a limit, and so has a hook whose docker command waits for ever.
limit_waits() {
    printf 'ENGINETIMEOUT=2\nHOOKTIMEOUT=8\n' >>"$DRUNNER_PREFIX/etc/drunner/config.sh"
}

@test "every operation, each of its requests broken in each way" {
    local row fault number
    sow
    limit_waits
    proxy_start
    for row in "${OPERATIONS[@]}"; do
        learn "$row"
        for fault in "${FAULTS[@]}"; do
            pick 1 < <(seq "$REQUESTS")
            for number in "${PICKED[@]}"; do
                begin
                run_with_rule "$number:$fault"
                verdict "'$fault' of request $number, '$(sed -n "${number}p" "$PROXY_RECORD")'"
            done
        done
        nothing
    done
    summary
}

# "CALL ERROR WHEN": the Nth call of each process fails, or (N+) every one from there on, as on a
# disk that stays full.
disk_faults() {
    local call count number error
    while read -r call count; do
        if [[ $call == journal:* ]]; then continue; fi
        for error in ENOSPC EIO; do
            for ((number = 1; number <= count; number++)); do
                printf '%s %s %s\n%s %s %s+\n' "$call" "$error" "$number" "$call" "$error" "$number"
            done
        done
    done <<<"$COUNTED"
}

@test "a disk that is full or fails, below install and update" {
    local row fault call error when
    sow
    proxy_start
    for row in "${OPERATIONS[@]}"; do
        if [[ $row != @(install|update)\|* ]]; then continue; fi
        learn "$row"
        pick 8 < <(disk_faults)
        for fault in "${PICKED[@]}"; do
            read -r call error when <<<"$fault"
            begin
            run_with_rule "" strace -f --seccomp-bpf -o /dev/null -e "trace=$call" \
                -e "inject=$call:error=$error:when=$when"
            verdict "'$call' fails with $error, time $when"
        done
        nothing
    done
    summary
}
