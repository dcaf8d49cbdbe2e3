# shellcheck shell=bash
# A private container engine and a private registry, with the images of the tests: started once per
# run, stopped by pid. Nothing of the host's own engine or services is touched.
#
#   world_start   starts both, builds the images, exports what is below
#   world_stop    stops both, ends what they left behind, removes every file
#
# WORLD          the directory of everything (a new one below TMPDIR)
# DOCKER_HOST    the private engine
# DOCKER         the docker command line that speaks to it
# REGISTRY       127.0.0.1:PORT, the private registry
# BASE_IMAGE     what the images are built from
# WORLD_IMAGES   where it is set only these are built
# DRUNNER_ENGINE what the engine is: docker (also where it is not set) or podman

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export ROOT DRUNNER_ENGINE=${DRUNNER_ENGINE:-docker}

# shellcheck source=tests/integration/world_podman.bash
source "$ROOT/tests/integration/world_podman.bash"

world_fail() {
    printf 'world: %s\n' "$1" >&2
    return 1
}

# Waits until a command succeeds, as long as the process lives and 30 seconds are not over.
world_wait() { # PID COMMAND...
    local pid=$1 tries
    shift
    for ((tries = 0; tries < 300; tries++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.1
    done
    return 1
}

world_program() { # NAME...
    local name
    for name in "$@"; do
        if [[ -x /usr/bin/$name ]]; then
            printf '/usr/bin/%s\n' "$name"
            return
        elif [[ -x /usr/sbin/$name ]]; then
            printf '/usr/sbin/%s\n' "$name"
            return
        elif command -v "$name"; then
            return
        fi
    done
    world_fail "none of these is installed: $*"
}

# Its own name for each driver: overlay2 where the kernel and the file system can, else vfs.
world_start_docker() {
    local dockerd driver
    dockerd=$(world_program dockerd)
    printf '{}\n' >"$WORLD/daemon.json"
    for driver in overlay2 vfs; do
        "$dockerd" --data-root "$WORLD/data" --exec-root "$WORLD/exec" \
            --pidfile "$WORLD/docker.pid" --host "$DOCKER_HOST" \
            --config-file "$WORLD/daemon.json" --bridge=none --iptables=false --ip6tables=false \
            --storage-driver "$driver" >"$WORLD/docker.log" 2>&1 3>&- 4>&- </dev/null &
        WORLD_ENGINE_PID=$!
        disown "$WORLD_ENGINE_PID"
        if world_wait "$WORLD_ENGINE_PID" "$DOCKER" version; then
            export WORLD_ENGINE_PID
            return 0
        fi
        world_end "$WORLD_ENGINE_PID"
    done
    tail -n 20 "$WORLD/docker.log" >&2
    world_fail "the private engine does not start"
}

# A port is free when nothing answers on it; another process may still take it first, so several
# are tried.
world_start_registry() {
    local registry port try
    registry=$(world_program docker-registry registry)
    for ((try = 0; try < 20; try++)); do
        port=$((20000 + RANDOM % 20000))
        if (exec 5<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi
        cat >"$WORLD/registry.yml" <<YAML
version: 0.1
log: {level: info, accesslog: {disabled: false}}
storage: {filesystem: {rootdirectory: $WORLD/registry}, delete: {enabled: true}}
http: {addr: '127.0.0.1:$port'}
YAML
        OTEL_TRACES_EXPORTER=none "$registry" serve "$WORLD/registry.yml" \
            >"$WORLD/registry.log" 2>&1 3>&- 4>&- </dev/null &
        WORLD_REGISTRY_PID=$!
        disown "$WORLD_REGISTRY_PID"
        if world_wait "$WORLD_REGISTRY_PID" curl -fsS "http://127.0.0.1:$port/v2/"; then
            export WORLD_REGISTRY_PID REGISTRY=127.0.0.1:$port
            return 0
        fi
        world_end "$WORLD_REGISTRY_PID"
    done
    tail -n 20 "$WORLD/registry.log" >&2
    world_fail "the private registry does not start"
}

# The second tag keeps the image where a test moves the first one.
world_build() { # DIRECTORY TAG [ARGUMENTS...]
    local directory=$1 tag=$2
    shift 2
    DOCKER_BUILDKIT=0 "$DOCKER" build --quiet --force-rm \
        --build-arg "BASE_IMAGE=$BASE_IMAGE" "$@" \
        --tag "$tag" --tag "original/$tag" "$directory" >/dev/null
}

world_wants() { # NAME
    [[ -z ${WORLD_IMAGES-} || " $WORLD_IMAGES " == *" $1 "* ]]
}

# Each under its directory's name, and the next version of the three that an update is tried with. All
# at once: a build mostly waits for the engine.
world_build_images() {
    local directory name pid pids=()
    DOCKER=$DOCKER "$ROOT/scripts/base-image" "$BASE_IMAGE" >/dev/null
    for directory in "$ROOT"/services/*/ "$ROOT"/tests/services/*/; do
        name=$(basename "$directory")
        # On bases of their own, which services.bats, directord.bats and daos.bats make.
        if [[ $name =~ ^(redis|directord|director|daos-client)$ ]] || ! world_wants "$name"; then
            continue
        fi
        world_build "$directory" "$name" &
        pids+=($!)
        case $name in dtest | longrunner | steady) ;; *) continue ;; esac
        world_build "$directory" "$name-2" --build-arg VERSION=2 &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || world_fail "an image cannot be built" || return 1
    done
}

world_start() {
    WORLD=$(mktemp -d "${TMPDIR:-/tmp}/drunner-test.XXXXXX")
    chmod 755 "$WORLD"
    export WORLD DOCKER_HOST=unix://$WORLD/docker.sock DOCKER_CONFIG=$WORLD/docker-config
    export BASE_IMAGE=drunner-base
    DOCKER=$(world_program docker)
    export DOCKER
    mkdir -p "$DOCKER_CONFIG"
    unset DOCKER_CONTEXT DOCKER_API_VERSION DOCKER_TLS_VERIFY DOCKER_CERT_PATH DRUNNER_PREFIX
    # The images' scripts say "docker"; what they mean is the client that speaks to this engine.
    mkdir -p "$WORLD/bin"
    ln -sf "$DOCKER" "$WORLD/bin/docker"
    PATH=$WORLD/bin:$PATH
    if [[ $DRUNNER_ENGINE == podman ]]; then ip link set lo up; fi
    world_start_registry && "world_start_$DRUNNER_ENGINE" && world_build_images
}

# Ends a process, politely first, and returns when it is gone.
world_end() { # PID
    local tries
    kill -TERM "$1" 2>/dev/null || return 0
    for ((tries = 0; tries < 150; tries++)); do
        [[ -d /proc/$1 && $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) != Z* ]] || return 0
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null || true
}

# What carries the world's directory in its command line: containerd and the shims of containers.
world_processes() {
    local directory
    for directory in /proc/[0-9]*; do
        if tr '\0' ' ' 2>/dev/null <"$directory/cmdline" | grep -qF -- "$WORLD/"; then
            printf '%s\n' "${directory#/proc/}"
        fi
    done
}

world_stop() {
    [[ -n ${WORLD-} && -d $WORLD ]] || return 0
    local pid mount
    if [[ -n ${WORLD_ENGINE_PID-} ]]; then
        "$DOCKER" ps --quiet 2>/dev/null | xargs -r "$DOCKER" rm --force >/dev/null 2>&1 || true
        world_end "$WORLD_ENGINE_PID"
    fi
    if [[ -n ${WORLD_REGISTRY_PID-} ]]; then world_end "$WORLD_REGISTRY_PID"; fi
    if [[ -n ${WORLD_HUB_PID-} ]]; then
        world_end "$WORLD_HUB_PID"
        umount /etc
    fi
    for pid in $(world_processes); do
        if [[ $pid != "$$" && $pid != "$BASHPID" ]]; then world_end "$pid"; fi
    done
    # The deepest mounts first.
    while read -r mount; do
        umount --lazy "$mount" 2>/dev/null || true
    done < <(awk -v root="$WORLD/" 'index($2, root) == 1 {print $2}' /proc/self/mounts | sort -r)
    rm -rf --one-file-system "$WORLD"
}
