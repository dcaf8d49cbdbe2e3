# shellcheck shell=bash
# An engine for one file of tests, with what the run's own one lacks: bridge networks, their DNS and
# their isolation, in a network namespace of its own, so that nothing of the host's network is
# touched; and it may be restarted.
#
#   own_engine_start    from setup_file: exports DOCKER_HOST for the tests of the file; with
#                       OWN_NAMESPACE set in the network and mounts of that process
#   own_engine_stop     from teardown_file
#   own_engine_down SIGNAL, own_engine_up    in the middle of a test

own_engine_start() {
    not_on_podman "these tests start a Docker engine of their own"
    export OWN
    OWN=$(mktemp -d "$WORLD/own.XXXXXX")
    OWN_DRIVER=$("$DOCKER" info --format '{{.Driver}}')
    export OWN_DRIVER
    "$DOCKER" save "$BASE_IMAGE" >"$OWN/base.tar"
    printf '{}\n' >"$OWN/daemon.json"
    export DOCKER_HOST=unix://$OWN/s
    own_engine_up
    "$DOCKER" load --quiet --input "$OWN/base.tar" >/dev/null
}

# The services directord and director, on what stands for their programs: see tests/standins.
build_directord() {
    local product
    DOCKER=$DOCKER "$ROOT/scripts/base-image" \
        --with "$ROOT/build/directord-standin=directord-standin" "$BASE_IMAGE-directord" >/dev/null
    for product in directord director; do
        DOCKER_BUILDKIT=0 "$DOCKER" build --quiet --force-rm --tag "standin-$product" \
            --build-arg "BASE_IMAGE=$BASE_IMAGE-directord" --build-arg "PRODUCT=$product" \
            "$ROOT/tests/standins/directord" >/dev/null
        DOCKER_BUILDKIT=0 "$DOCKER" build --quiet --force-rm --tag "$product" \
            --build-arg "${product^^}_IMAGE=standin-$product" "$ROOT/services/$product" >/dev/null
    done
}

own_engine_launch() {
    local dockerd enter
    dockerd=$(PATH=$PATH:/usr/sbin command -v dockerd)
    rm -f "$OWN/pid"
    # The namespace goes with its last process; a restarted engine gets a new one.
    # shellcheck disable=SC2016
    enter=(unshare --net bash -c 'ip link set lo up; exec "$@"' bash)
    if [[ -n ${OWN_NAMESPACE-} ]]; then
        enter=(nsenter --target "$OWN_NAMESPACE" --net --mount --)
    fi
    setsid "${enter[@]}" "$dockerd" \
        --data-root "$OWN/data" --exec-root "$OWN/exec" --pidfile "$OWN/pid" \
        --host "$DOCKER_HOST" --config-file "$OWN/daemon.json" --storage-driver "$OWN_DRIVER" \
        >>"$OWN/log" 2>&1 </dev/null 3>&- 4>&- &
    OWN_PID=$!
}

own_engine_up() {
    local tries
    own_engine_launch
    for ((tries = 0; tries < 600; tries++)); do
        if "$DOCKER" version >/dev/null 2>&1; then return 0; fi
        # Its containerd may need longer than it waits for it.
        kill -0 "$OWN_PID" 2>/dev/null || own_engine_launch
        sleep 0.1
    done
    tail -n 20 "$OWN/log"
    return 1
}

own_engine_down() { # SIGNAL
    local pid containerd tries
    pid=$(<"$OWN/pid")
    containerd=$(<"$OWN/exec/containerd/containerd.pid")
    kill "-$1" "$pid"
    for ((tries = 0; tries < 600; tries++)); do
        if [[ ! -d /proc/$pid || $(sed 's/.*) //' "/proc/$pid/stat") == Z* ]]; then break; fi
        sleep 0.1
    done
    # By SIGTERM it ends that one too.
    if [[ $1 == KILL ]]; then kill -KILL "$containerd" 2>/dev/null || true; fi
    rm -f "$OWN/pid" "$OWN/exec/containerd/containerd.pid"
}

own_engine_stop() {
    [[ -n ${OWN-} ]] || return 0
    if [[ -f $OWN/pid ]]; then own_engine_down TERM; fi
}

# Waits up to 20 seconds for a command to succeed.
until_true() { # COMMAND...
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    printf 'not within 20 seconds: %s\n' "$*"
    return 1
}

# ---- the table: promise, check, result -----------------------------------------------------------

# Names the row that a test is; row_end, called at its end, writes down how it went.
row() { # PROMISE CHECK
    ROW="$1 | $2"
}

row_end() {
    local result=FAILED
    if [[ -n ${BATS_TEST_COMPLETED-} ]]; then result=passed; fi
    if [[ -n ${ROW-} ]]; then printf '# | %s | %s |\n' "$ROW" "$result" >>"$BATS_FILE_TMPDIR/rows"; fi
}

rows_print() {
    printf '# | promise | check | result |\n' >&3
    cat "$BATS_FILE_TMPDIR/rows" >&3 2>/dev/null || true
}

# ---- containers ----------------------------------------------------------------------------------

# A specification: an entrypoint of the base image on the tenant's network 'net', and fields that
# jq merges into it.
spec() { # NAME ENTRYPOINT [JSON]
    jq -n --arg name "$1" --arg entrypoint "$2" --arg image "$BASE_IMAGE" --argjson more "${3:-null}" \
        '{Name: $name, RootFS: $image, Network: {Namespace: "net"}, Entrypoint: $entrypoint}
         + ($more // {})'
}

# Runs it; ID is the container's id afterwards.
start_container() { # TENANT NAME ENTRYPOINT [JSON]
    ID=$(spec "$2" "$3" "${4-}" | drunner container run "$1")
    [[ $ID =~ ^[0-9a-f]{64}$ ]]
}

inspected() { # CONTAINER FORMAT
    "$DOCKER" inspect --format "$2" "$1"
}

state_is() { # CONTAINER STATE
    [[ $(inspected "$1" '{{.State.Status}}') == "$2" ]]
}
