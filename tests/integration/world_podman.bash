# shellcheck shell=bash
# The world's engine where DRUNNER_ENGINE is podman: its API service, with storage, networks and
# settings of its own. It makes bridges and changes /etc, so it wants a network and a mount namespace
# that nobody else is in; scripts/test makes them.

# The names of images without a domain are Docker Hub's to Podman: here it is somebody who has none
# of them.
world_podman_hub() {
    mkdir "$WORLD/hub"
    cp -a /etc "$WORLD/etc"
    mount --bind "$WORLD/etc" /etc
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj /CN=registry-1.docker.io -addext subjectAltName=DNS:registry-1.docker.io \
        -keyout "$WORLD/hub/key" -out "$WORLD/hub/certificate" 2>/dev/null
    cat "$WORLD/hub/certificate" "$WORLD/hub/key" >"$WORLD/hub/tls.pem"
    cat "$WORLD/hub/certificate" >>/etc/ssl/certs/ca-certificates.crt
    printf '127.0.0.1 localhost registry-1.docker.io\n' >/etc/hosts
    /usr/bin/python3 "$ROOT/tests/tools/registry_peer.py" answers 127.0.0.1 443 "$WORLD/hub" \
        >"$WORLD/hub/log" 2>&1 3>&- 4>&- </dev/null &
    WORLD_HUB_PID=$!
    disown "$WORLD_HUB_PID"
    export WORLD_HUB_PID
    world_wait "$WORLD_HUB_PID" grep -q ready "$WORLD/hub/log"
}

# Its own limits are more than every host allows.
world_podman_settings() {
    cat >"$WORLD/containers.conf" <<TOML
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[network]
network_config_dir = "$WORLD/networks"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
TOML
    cat >"$WORLD/registries.conf" <<TOML
[[registry]]
location = "$REGISTRY"
insecure = true
TOML
    mkdir -p "$WORLD/networks"
    export CONTAINERS_CONF=$WORLD/containers.conf CONTAINERS_REGISTRIES_CONF=$WORLD/registries.conf
}

# Refuses to run where it would change the host's own.
world_podman_is_apart() {
    [[ $(readlink /proc/self/ns/net) != "$(readlink /proc/1/ns/net)" &&
        $(readlink /proc/self/ns/mnt) != "$(readlink /proc/1/ns/mnt)" ]] ||
        world_fail "podman needs namespaces of its own; next: DRUNNER_ENGINE=podman scripts/test"
}

# What the images' scripts call "docker" is Podman's own: Docker's loses the exit code of "run --rm".
world_podman_command() {
    # shellcheck disable=SC2016
    printf '#!/bin/sh\nexec env -u DOCKER_CONFIG "%s" --remote --url "$DOCKER_HOST" "$@"\n' "$1" >"$WORLD/bin/podman"
    chmod 755 "$WORLD/bin/podman"
    mv "$WORLD/bin/podman" "$WORLD/bin/docker"
}

world_start_podman() {
    local podman driver
    podman=$(world_program podman)
    world_podman_command "$podman"
    world_podman_is_apart && world_podman_hub || return 1
    world_podman_settings
    for driver in overlay vfs; do
        "$podman" --root "$WORLD/data" --runroot "$WORLD/exec" --tmpdir "$WORLD/tmp" \
            --storage-driver "$driver" --log-level info system service --time 0 "$DOCKER_HOST" \
            >"$WORLD/podman.log" 2>&1 3>&- 4>&- </dev/null &
        WORLD_ENGINE_PID=$!
        disown "$WORLD_ENGINE_PID"
        if world_wait "$WORLD_ENGINE_PID" "$DOCKER" version; then
            export WORLD_ENGINE_PID
            return 0
        fi
        world_end "$WORLD_ENGINE_PID"
    done
    tail -n 20 "$WORLD/podman.log" >&2
    world_fail "podman's service does not start"
}
