#!/usr/bin/env bats
# drunner container and drunner serve: every promise of the container module, on an engine with
# networks. Prints the table of promises at its end.

load harness
load own_engine

eval "$(declare -f teardown | sed '1s/teardown/harness_teardown/')"

setup_file() {
    own_engine_start
}

teardown_file() {
    rows_print
    own_engine_stop
}

teardown() {
    row_end
    if [[ -n ${SERVE_PID-} ]]; then serve_stop; fi
    harness_teardown
}

# Most of them are deaf to TERM, and one test is enough that waits for its time to pass.
delete_all() { # TENANT
    local name
    "$DOCKER" ps --quiet | xargs -r "$DOCKER" kill >/dev/null
    for name in $(drunner container list "$1" --json | jq -r '.[].Name'); do
        drunner container delete "$1" "$name"
    done
}

containers_count() {
    "$DOCKER" ps --all --quiet | wc -l
}

@test "Run creates and starts" {
    row "Run creates and starts" "run prints the id; it runs; its output is in the log"
    start_container a web "sh -c 'echo hello; echo trouble >&2; exec sleep 1000'"
    equals running "$(inspected "$ID" '{{.State.Status}}')"
    until_true sh -c "drunner container logs a web | grep -qx hello"
    expect 0 drunner container logs a "$ID"
    equals hello "$output"
    # shellcheck disable=SC2154  # set by expect
    equals trouble "$stderr"
    delete_all a
}

@test "Inspect returns the request" {
    row "Inspect returns the request" "what was asked for equals what inspect tells, but for State"
    local asked told
    mkdir share
    asked=$(spec full "sh -c 'sleep 1000'" "$(jq -n --arg here "$PWD/share" '{
        Env: ["A=1", "B=two words", "PATH=/bin:/usr/bin"],
        Mounts: [{Source: $here, Target: "/share", Type: "bind", Options: ["ro"]},
                 {Source: "", Target: "/scratch", Type: "tmpfs", Options: ["size=1m", "mode=1777"]}],
        Interactive: false, CPU: 0.5, Memory: 33554432, ShutdownTimeout: 0, Elevated: false}')")
    drunner container run a <<<"$asked"
    told=$(drunner container inspect a full)
    equals "$(jq -S . <<<"$asked")" "$(jq -S 'del(.State)' <<<"$told")"
    equals '["Address","ExitCode","Failed","FinishedAt","Id","OOMKilled","Restarts","StartedAt","Status"]' \
        "$(jq -c '.State | keys' <<<"$told")"
    equals running "$(jq -r .State.Status <<<"$told")"
    # Neither the environment nor a part of it is in a label.
    [[ $("$DOCKER" ps --all --format '{{.Labels}}') != *"two words"* ]]
    # By the id, and by a part of it, the same.
    equals "$told" "$(drunner container inspect a "$(jq -r .State.Id <<<"$told")")"
    equals "$told" "$(drunner container inspect a "$(jq -r .State.Id <<<"$told" | cut -c1-12)")"
    delete_all a
}

@test "Delete stops and removes" {
    row "Delete stops and removes" "TERM is heard; a second delete is 1; a stubborn one gets TERM, then KILL"
    mkdir share
    local mount signals
    mount=$(jq -n --arg here "$PWD/share" '{Mounts: [{Source: $here, Target: "/share"}]}')
    start_container a polite \
        "sh -c 'trap \"echo bye > /share/term; exit 0\" TERM; touch /share/up; while :; do sleep 0.1; done'" "$mount"
    until_true test -e share/up
    expect 0 drunner container delete a polite
    equals bye "$(<share/term)"
    refused "tenant 'a' has no container 'polite'" drunner container delete a polite

    # Before the trap stands it would hear TERM.
    start_container a stubborn \
        "sh -c 'trap \"\" TERM; touch /share/deaf; while :; do sleep 0.1; done'" \
        "$(jq '. + {ShutdownTimeout: 1}' <<<"$mount")"
    until_true test -e share/deaf
    expect 0 drunner container delete a stubborn
    signals=$("$DOCKER" events --since 60s --until "$(date +%s.%N)" --filter "container=$ID" --filter event=kill \
        --format '{{.Actor.Attributes.signal}}')
    equals "15 9" "$(xargs <<<"$signals")"
    equals 0 "$(containers_count)"
}

# Neither the engine's word nor the name: only whether bytes arrive.
can_reach() { # TENANT CONTAINER ADDRESS
    drunner container exec "$1" "$2" sh -c "echo | nc -w 2 $3 8080 | grep -q pong"
}

@test "tenants are apart" {
    row "tenant namespaces" "one name in A and B; A's again refused; lists apart; DNS is A's own; B's port is out of reach"
    local server="sh -c 'while :; do echo pong | nc -l -p 8080; done'" address_a address_b
    start_container A web "$server"
    start_container B web "$server"
    start_container A client "sleep 1000"
    start_container B client "sleep 1000"
    spec web "sleep 1" >again
    refused "tenant 'A' has a container 'web' already" drunner container run A again
    equals "client web" "$(drunner container list A --json | jq -r '.[].Name' | xargs)"
    equals A "$(drunner container list A --json | jq -r '.[].Tenant' | sort -u)"
    equals 4 "$(drunner container list --json | jq length)"
    address_a=$(drunner container inspect A web | jq -r .State.Address)
    address_b=$(drunner container inspect B web | jq -r .State.Address)
    expect 0 drunner container exec A client nslookup web
    contains "$output" "$address_a"
    [[ $output != *"$address_b"* ]]
    until_true can_reach A client web
    until_true can_reach B client "$address_b"
    run can_reach A client "$address_b"
    [[ $status == 1 ]]
    # Another tenant's container is not there, by its id neither.
    refused "tenant 'B' has no container" drunner container inspect B "$("$DOCKER" inspect -f '{{.Id}}' drunner.A.web)"
    delete_all A
    equals "drunner.B.net" "$("$DOCKER" network ls --filter name=drunner --format '{{.Name}}')"
    delete_all B
    equals "" "$("$DOCKER" network ls --quiet --filter name=drunner)"
}

@test "no container without a network" {
    row "no container without network" "a specification without one: exit 1, as many containers as before"
    spec web "sleep 1000" | jq 'del(.Network)' >none
    refused "Network.Namespace is missing" drunner container run a none
    spec web "sleep 1000" '{"Network": {}}' >empty
    refused "Network.Namespace is missing" drunner container run a empty
    # What is said explicitly is taken.
    start_container a alone "sleep 1000" '{"Network": {"Namespace": "none"}}'
    equals none "$(inspected "$ID" '{{.HostConfig.NetworkMode}}')"
    start_container a open "sleep 1000" '{"Network": {"Namespace": "host"}}'
    equals host "$(inspected "$ID" '{{.HostConfig.NetworkMode}}')"
    delete_all a
}

@test "every mistake of a specification is told at once" {
    spec '' "sh -c 'x" '{"Nam": "x", "CPU": "one", "Memory": 5, "Env": ["A"],
        "Mounts": [{"Source": "x", "Target": "/y/../z", "Kind": 1}]}' >wrong
    refused "there is no field 'Nam', did you mean 'Name'" drunner container run a wrong
    local word
    for word in 'Name ' 'CPU is not a number' 'Memory is' 'KEY=VALUE' 'quote that is not closed' \
        "Mounts\[0\]: there is no field 'Kind'" "Source 'x'" "Target '/y/../z'"; do
        says "$word"
    done
    refused "not one JSON object" drunner container run a - <<<'nonsense'
    refused "cannot be a tenant" drunner container run a.b wrong
}

@test "a failed Run leaves nothing" {
    row "failed Run leaves nothing" "a program that is not there, a port taken, a signal: exit 1, no container, no network"
    spec web /nonexistent >missing
    refused "/nonexistent" drunner container run a missing
    spec web "sleep 1000" '{"RootFS": "nosuch.invalid/image:1"}' >image
    refused "nosuch.invalid" drunner container run a image
    spec web "sleep 1000" '{"Mounts": [{"Source": "/nosuch", "Target": "/x"}]}' >mount
    refused "/nosuch" drunner container run a mount
    # One that was killed left a container that never ran: it is nobody's, and in nobody's way.
    "$DOCKER" create --name drunner.a.web --label drunner.tenant=a --label drunner.name=web \
        "$BASE_IMAGE" true
    start_container a web "sleep 1000"
    equals running "$(inspected drunner.a.web '{{.State.Status}}')"
    delete_all a
}

@test "mounts, environment and entrypoint" {
    row "Mounts, Env, Entrypoint split" "quotes in the entrypoint; the caller's variable beats the image's; ro and rw"
    mkdir ro rw
    printf 'FROM %s\nENV COLOUR=image KEPT=image\n' "$BASE_IMAGE" >Dockerfile
    DOCKER_BUILDKIT=0 "$DOCKER" build --quiet --tag coloured . >/dev/null
    local more
    more=$(jq -n --arg here "$PWD" '{RootFS: "coloured", Env: ["COLOUR=caller"], Mounts: [
        {Source: ($here + "/ro"), Target: "/ro", Options: ["ro"]},
        {Source: ($here + "/rw"), Target: "/rw", Type: "bind", Options: ["rw"]}]}')
    start_container a web "sh -c \"echo 'a  b'; exec sleep 1000\"" "$more"
    until_true sh -c "drunner container logs a web | grep -qx 'a  b'"
    expect 0 drunner container exec a web sh -c 'echo $COLOUR $KEPT'
    equals "caller image" "$output"
    expect 0 drunner container exec a web touch /rw/file
    [[ -e rw/file ]]
    expect 1 drunner container exec a web touch /ro/file
    [[ ! -e ro/file ]]
    equals '["COLOUR=caller"]' "$(drunner container inspect a web | jq -c .Env)"
    delete_all a
    "$DOCKER" rmi coloured >/dev/null
}

@test "a directory as the root" {
    row "RootFS as a directory" "runs from it; two of one content share an image, which goes with the last"
    "$DOCKER" create --name root "$BASE_IMAGE" true >/dev/null
    mkdir root
    "$DOCKER" export root | tar -x -C root
    "$DOCKER" rm root >/dev/null
    echo mine >root/mine
    start_container a one "sleep 1000" "$(jq -n --arg root "$PWD/root" '{RootFS: $root}')"
    expect 0 drunner container exec a one cat /mine
    equals mine "$output"
    start_container b two "sleep 1000" "$(jq -n --arg root "$PWD/root" '{RootFS: $root}')"
    equals 1 "$("$DOCKER" images --quiet localhost/drunner-root | wc -l)"
    equals "$PWD/root" "$(drunner container inspect b two | jq -r .RootFS)"
    delete_all a
    equals 1 "$("$DOCKER" images --quiet localhost/drunner-root | wc -l)"
    delete_all b
    equals 0 "$("$DOCKER" images --quiet localhost/drunner-root | wc -l)"
    spec web "sleep 1" '{"RootFS": "/nosuch/directory"}' >nosuch
    refused "is no directory" drunner container run a nosuch
}

@test "Interactive" {
    row "Interactive" "PID 1 is the init; exec works while it idles"
    start_container a shell "sh" '{"Interactive": true}'
    equals docker-init "$("$DOCKER" exec "$ID" cat /proc/1/comm)"
    expect 0 drunner container exec a shell echo still here
    equals "still here" "$output"
    equals running "$(inspected "$ID" '{{.State.Status}}')"
    delete_all a
}

@test "exec keeps streams, stdin and exit codes apart" {
    start_container a web "sleep 1000"
    expect 0 drunner container exec a web sh -c 'echo out; echo err >&2' --json
    equals out "$output"
    equals err "$stderr"
    expect 3 drunner container exec a web sh -c 'exit 3'
    expect 1 drunner container exec a web sh -c 'exit 42'
    says "failed with status 42"
    expect 1 drunner container exec a web /nosuch
    # More than any buffer on the way, both ways at once.
    head -c 3000000 /dev/urandom >bytes
    drunner container exec -i a web cat <bytes >back
    cmp bytes back
    # Without -i the list stays the caller's.
    printf '1\n2\n' | (while read -r line; do drunner container exec a web echo "$line"; done) >lines
    equals "1 2" "$(xargs <lines)"
    # A terminal where there is one.
    run script -qec "drunner container exec a web sh -c 'tty; echo \$((6 * 7))'" /dev/null
    contains "$output" /dev/pts
    contains "$output" 42
    # Follows until the end.
    start_container a short "sh -c 'echo one; sleep 1; echo two; sleep 1000'" '{"ShutdownTimeout": 0}'
    (drunner container logs -f a short >followed) &
    until_true grep -qx two followed
    drunner container delete a short
    wait $!
    equals "one two" "$(xargs <followed)"
    delete_all a
}

@test "Elevated" {
    row "Elevated" "CAP_SYS_ADMIN and /dev/fuse are there, and only then"
    local bits="sh -c 'sed -n s/CapEff:.//p /proc/1/status; exec sleep 1000'"
    start_container a plain "$bits"
    [[ -c /dev/fuse ]] || skip "this host has no /dev/fuse"
    start_container a raised "$bits" '{"Elevated": true}'
    until_true sh -c "drunner container logs a raised | grep -q ."
    until_true sh -c "drunner container logs a plain | grep -q ."
    equals 1 $(((0x$(drunner container logs a raised) >> 21) & 1))
    equals 0 $(((0x$(drunner container logs a plain) >> 21) & 1))
    expect 0 drunner container exec a raised test -c /dev/fuse
    expect 1 drunner container exec a plain test -c /dev/fuse
    delete_all a
}

@test "limits" {
    row "CPU / memory" "the cgroup's figures; more processors than there are: 1; 200 MB in 32 MB: OOMKilled"
    start_container a web "sleep 1000" '{"CPU": 1, "Memory": 67108864}'
    local v1=/sys/fs/cgroup/memory/memory.limit_in_bytes
    expect 0 drunner container exec a web sh -c "cat $v1 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    equals 67108864 "$output"
    expect 0 drunner container exec a web sh -c \
        'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d" " -f1 /sys/fs/cgroup/cpu.max'
    equals 100000 "$output"
    spec more "sleep 1000" '{"CPU": 64000}' >too-much
    refused "this host has [0-9]+ processors, CPU asks for 64000" drunner container run a too-much
    start_container a hungry "dd if=/dev/zero of=/dev/null bs=200M count=1" \
        '{"Memory": 33554432}'
    killed() { drunner container inspect a hungry | jq -e '.State.OOMKilled and .State.Failed'; }
    until_true killed
    delete_all a
}

@test "nothing is kept outside the engine" {
    row "fully stateless" "the state directory deleted, drunner copied over itself: list, inspect, delete and StartedAt are the same"
    local list inspect started
    cp "$DRUNNER_BINARY" drunner-copy
    start_container a web "sleep 1000" '{"Env": ["KEY=value"], "ShutdownTimeout": 0}'
    list=$(drunner container list a)
    inspect=$(drunner container inspect a web)
    started=$(inspected "$ID" '{{.State.StartedAt}}')
    rm -rf "${DRUNNER_PREFIX:?}/var" "$DRUNNER_PREFIX/run"
    ln -sf "$PWD/drunner-copy" "$BATS_TEST_TMPDIR/bin/drunner"
    cp "$DRUNNER_BINARY" drunner-copy.new
    mv drunner-copy.new drunner-copy
    # "Up 1 second" is no state of ours: the columns are without it.
    equals "$list" "$(drunner container list a)"
    equals "$inspect" "$(drunner container inspect a web)"
    equals "$started" "$(inspected "$ID" '{{.State.StartedAt}}')"
    expect 0 drunner container delete a web
    equals 0 "$(containers_count)"
}

@test "everything is asked of the engine" {
    row "queried at run time" "removed behind its back: the next list lacks it"
    start_container a web "sleep 1000"
    start_container a other "sleep 1000"
    "$DOCKER" rm --force drunner.a.web >/dev/null
    equals other "$(drunner container list a --json | jq -r '.[].Name')"
    refused "has no container" drunner container inspect a web
    delete_all a
}

# ---- drunner serve -------------------------------------------------------------------------------

serve_start() {
    SOCKET=$DRUNNER_PREFIX/run/drunner/serve.sock
    drunner serve 2>serve.log 3>&- 4>&- &
    SERVE_PID=$!
    until_true test -S "$SOCKET"
}

serve_stop() {
    kill -TERM "$SERVE_PID"
    SERVE_STATUS=0
    wait "$SERVE_PID" || SERVE_STATUS=$?
    SERVE_PID=
}

# Lines to the socket, its answers to stdout.
ask_socket() {
    perl -MIO::Socket::UNIX -e 'my $peer = IO::Socket::UNIX->new($ARGV[0]) or exit 1;
        $SIG{PIPE} = "IGNORE"; local $/; print $peer scalar <STDIN>; $peer->shutdown(1);
        while (sysread $peer, my $part, 65536) { print $part }' "$SOCKET"
}

@test "the same calls over a socket" {
    row "zbus object" "a request on the socket is answered as on the command line; several clients; nonsense ends nothing"
    local answers client
    serve_start
    equals "600 0" "$(stat -c '%a %u' "$SOCKET")"
    jq -cn --argjson spec "$(spec web 'sleep 1000' '{"Env":["A=b"],"ShutdownTimeout":0}')" \
        '{method: "Run", namespace: "a", spec: $spec, tag: 7}' >calls
    ask_socket <calls >answer
    equals 7 "$(jq .tag answer)"
    equals "$(inspected drunner.a.web '{{.Id}}')" "$(jq -r .result.Id answer)"
    equals "$(drunner container inspect a web | jq -S .)" \
        "$(ask_socket <<<'{"method":"Inspect","namespace":"a","id":"web"}' | jq -S .result)"
    equals "$(drunner container list a --json | jq -cS 'map(del(.Status))')" \
        "$(ask_socket <<<'{"method":"List","namespace":"a"}' | jq -cS '.result | map(del(.Status))')"
    answers=$(ask_socket <<<'{"method":"Exec","namespace":"a","id":"web","command":["sh","-c","echo x; exit 5"]}')
    equals '{"ExitCode":5,"Stderr":"","Stdout":"x\n","Truncated":false}' "$(jq -cS .result <<<"$answers")"
    # Nonsense is answered, line by line, and the next line is served.
    printf '%s\n' nonsense '[]' '{"method":"Fly"}' '{"method":"Inspect","namespace":"../x","id":"y"}' \
        '{"method":"Inspect","namespace":"b","id":"web"}' $'\xff' '' \
        '{"method":"Logs","namespace":"a","id":"web"}' | ask_socket >answers
    equals "usage usage usage invalid-name engine-not-found usage usage null" \
        "$(jq -r .error.kind answers | xargs)"
    # A line without end is cut off; the server goes on.
    head -c 2000000 /dev/zero | tr '\0' x | ask_socket >answers || true
    for client in 1 2 3 4 5 6 7 8; do
        ask_socket <<<'{"method":"Inspect","namespace":"a","id":"web"}' >"client-$client" &
    done
    for client in 1 2 3 4 5 6 7 8; do
        until_true test -s "client-$client"
        equals web "$(jq -r .result.Name "client-$client")"
    done
    refused "is locked by pid $SERVE_PID" drunner serve
    equals '{"result":{}}' "$(ask_socket <<<'{"method":"Delete","namespace":"a","id":"web"}')"
    equals 0 "$(containers_count)"
    # A client that says nothing does not keep it from ending.
    perl -MIO::Socket::UNIX -e 'my $peer = IO::Socket::UNIX->new($ARGV[0]) or exit 1;
        open my $file, ">", "connected"; close $file; sysread $peer, my $byte, 1' "$SOCKET" 3>&- 4>&- &
    until_true test -e connected
    serve_stop
    equals 0 "$SERVE_STATUS"
    [[ ! -e $SOCKET ]]
}
