#!/usr/bin/env bats
# The engine: not there, not allowed, silent, too old, and found by its three ways.

load harness

@test "an engine that does not run" {
    DOCKER_HOST=unix:///nosuch/docker.sock refused "/nosuch/docker.sock" drunner install dtest
    DOCKER_HOST=unix:///nosuch/docker.sock expect 1 drunner checkimage dtest
    says "/nosuch/docker.sock"
    expect 0 drunner --host unix:///nosuch/docker.sock list
}

@test "no permission on the engine's socket" {
    # Where another user reaches neither the test's directory nor the clone.
    local place
    place=$(mktemp -d "$WORLD/other.XXXXXX")
    cp "$DRUNNER_BINARY" "$place/drunner"
    chown -R 12345:12345 "$place"
    local before
    before=$(snapshot)
    DRUNNER_PREFIX=$place/p run --separate-stderr \
        setpriv --reuid=12345 --regid=12345 --clear-groups "$place/drunner" install dtest
    equals 1 "$status"
    says "permission"
    contains "$stderr" docker.sock
    same "$before" "$(snapshot)"
    rm -r "$place"
}

@test "a socket that is not an engine's, a host that is none" {
    touch "$BATS_TEST_TMPDIR/file"
    DOCKER_HOST=unix://$BATS_TEST_TMPDIR/file refused "file" drunner install dtest
    DOCKER_HOST=nonsense refused "nonsense" drunner install dtest
    DOCKER_HOST=tcp://127.0.0.1:1 refused "tcp" drunner install dtest
}

@test "an engine that hangs up is told from one that is not there" {
    proxy_start
    echo "1:refuse" >"$PROXY_RULES"
    DOCKER_HOST=$DOCKER_HOST refused "." drunner install dtest
}

@test "the engine's own words reach the operator" {
    proxy_start
    echo "POST /containers/create:error" >"$PROXY_RULES"
    refused "broken on purpose" drunner install dtest
}

@test "--host, DOCKER_HOST and the context lead to the engine, in this order" {
    DOCKER_HOST=unix:///nosuch expect 0 drunner --host "$ENGINE" install dtest
    expect 0 drunner obliterate dtest
    mkdir -p "$DOCKER_CONFIG/contexts/meta/$(printf mine | sha256sum | cut -d' ' -f1)"
    printf '{"Name":"mine","Metadata":{},"Endpoints":{"docker":{"Host":"%s"}}}' "$ENGINE" \
        >"$DOCKER_CONFIG/contexts/meta/$(printf mine | sha256sum | cut -d' ' -f1)/meta.json"
    printf '{"currentContext":"mine"}' >"$DOCKER_CONFIG/config.json"
    run env -u DOCKER_HOST "$DRUNNER_BINARY" install dtest
    local installed=$status
    rm -r "$DOCKER_CONFIG/config.json" "$DOCKER_CONFIG/contexts"
    equals 0 "$installed"
}

@test "a service stays with its engine" {
    expect 0 drunner install dtest
    proxy_start
    "$DOCKER" tag dtest-2 dtest
    refused "socket|engine" drunner update dtest
    proxy_stop
    expect 0 drunner update dtest
}

@test "SIGTERM undoes an install" {
    local before waited
    before=$(snapshot)
    proxy_start
    echo "POST /containers/create:hang" >"$PROXY_RULES"
    drunner install dtest >out 2>err 3>&- &
    local pid=$!
    for ((waited = 0; waited < 100; waited++)); do
        if grep -q "^POST .*/containers/create" "$PROXY_RECORD"; then break; fi
        sleep 0.1
    done
    kill -TERM "$pid"
    local code=0
    wait "$pid" || code=$?
    equals 1 "$code"
    proxy_stop
    same "$before" "$(snapshot)"
}
