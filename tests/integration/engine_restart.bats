#!/usr/bin/env bats
# The engine restarted, or gone for a while, in the middle of every operation. An engine of this
# file's own, so that no other test is disturbed.

load harness
load operations

eval "$(declare -f teardown | sed '1s/teardown/harness_teardown/')"

# The engine starts and stops by these two scripts, which the proxy runs in the middle of a request.
own_engine() { # DAEMON-JSON
    not_on_podman "these tests start a Docker engine of their own"
    MAIN_ENGINE=$ENGINE
    OWN=$(mktemp -d "$WORLD/own.XXXXXX")
    local dockerd driver
    dockerd=$(PATH=$PATH:/usr/sbin command -v dockerd)
    driver=$("$DOCKER" info --format '{{.Driver}}')
    printf '%s\n' "$1" >"$OWN/daemon.json"
    cat >"$OWN/start" <<SCRIPT
#!/bin/bash
start() {
    rm -f "$OWN/pid"
    setsid "$dockerd" --data-root "$OWN/data" --exec-root "$OWN/exec" --pidfile "$OWN/pid" \\
        --host "unix://$OWN/s" --config-file "$OWN/daemon.json" --bridge=none --iptables=false \\
        --ip6tables=false --storage-driver "$driver" >>"$OWN/log" 2>&1 </dev/null 3>&- 4>&- &
}
start
for ((tries = 0; tries < 600; tries++)); do
    if curl -s --unix-socket "$OWN/s" http://engine/_ping >/dev/null; then exit 0; fi
    # Its containerd may need longer than it waits for it.
    kill -0 \$! 2>/dev/null || start
    sleep 0.1
done
exit 1
SCRIPT
    cat >"$OWN/stop" <<SCRIPT
#!/bin/bash
pid=\$(<"$OWN/pid")
containerd=\$(<"$OWN/exec/containerd/containerd.pid")
kill "-\$1" "\$pid"
for ((tries = 0; tries < 600; tries++)); do
    if [[ ! -d /proc/\$pid || \$(sed 's/.*) //' "/proc/\$pid/stat") == Z* ]]; then break; fi
    sleep 0.1
done
# By SIGTERM it ends that one too.
if [[ \$1 == KILL ]]; then kill -KILL "\$containerd" 2>/dev/null; fi
rm -f "$OWN/pid" "$OWN/exec/containerd/containerd.pid"
SCRIPT
    chmod +x "$OWN/start" "$OWN/stop"
    "$OWN/start"
    "$DOCKER" save original/steady original/steady-2 | "$DOCKER" --host "unix://$OWN/s" load >/dev/null
    ENGINE=unix://$OWN/s
    # A container that the engine starts again is not there at once.
    export PATIENCE=150
}

teardown() {
    if [[ -n ${OWN-} ]]; then
        proxy_stop
        if [[ -f $OWN/pid ]]; then "$OWN/stop" TERM; fi
        ENGINE=$MAIN_ENGINE
        export DOCKER_HOST=$MAIN_ENGINE
    fi
    harness_teardown
}

await_engine() {
    local tries
    for ((tries = 0; tries < 600; tries++)); do
        if [[ -f $OWN/pid ]] && ask_engine /version >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    tail -n 40 "$OWN/log"
    return 1
}

# restart-TERM, restart-KILL: down and up again before the request reaches it; after: the same when
# it has answered and nobody heard it; gone: until drunner has ended.
restart_in_the_middle() { # KIND NUMBER
    case $1 in
        restart-*) run_with_rule "$2:before=$OWN/stop ${1#restart-}; $OWN/start" ;;
        after) run_with_rule "$2:after=$OWN/stop TERM; $OWN/start" ;;
        gone)
            run_with_rule "$2:before=$OWN/stop KILL"
            if [[ $REACHED == yes ]]; then
                # drunner may have ended before it was all over with the engine.
                until [[ ! -f $OWN/pid ]]; do sleep 0.1; done
                "$OWN/start"
            fi
            ;;
    esac
    # The client of that request may have heard the engine die, and drunner ended, before it is back.
    await_engine
    # An engine that was killed ends the containers that outlived it, and not always starts them again.
    if [[ $1 == @(restart-KILL|gone) ]]; then
        "$DOCKER" --host "unix://$OWN/s" start steady >/dev/null 2>&1 || true
    fi
    verdict "engine '$1' at request $2, '$(sed -n "${2}p" "$PROXY_RECORD")'"
}

KINDS=(restart-TERM restart-KILL after gone)

@test "the engine restarted in the middle of every operation" {
    local row point
    own_engine '{}'
    proxy_start
    sow
    for row in "${OPERATIONS[@]}"; do
        learn "$row"
        pick 1 < <(for kind in "${KINDS[@]}"; do seq -f "$kind %g" 1 4 "$REQUESTS"; done)
        for point in "${PICKED[@]}"; do
            begin
            # shellcheck disable=SC2086  # the kind and the number
            restart_in_the_middle $point
        done
        nothing
    done
    summary
}

@test "the engine restarted in the middle of an update, with live-restore" {
    local row point
    own_engine '{"live-restore": true}'
    proxy_start
    sow
    for row in "${OPERATIONS[@]}"; do
        if [[ $row != update\|* ]]; then continue; fi
        learn "$row"
        pick 2 < <(for kind in "${KINDS[@]}"; do seq -f "$kind %g" 1 4 "$REQUESTS"; done)
        for point in "${PICKED[@]}"; do
            begin
            # shellcheck disable=SC2086  # the same
            restart_in_the_middle $point
        done
        nothing
    done
    summary
}
