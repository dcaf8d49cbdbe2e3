# shellcheck shell=bash
# What the acceptance scripts share: a service built on a given image, a table of promises, and a
# watch over its keys. They do not know which image they were given.
#
#   acceptance_start PRODUCT IMAGE    a place, a registry, the service's image: SERVICE_IMAGE
#   row PROMISE CHECK COMMAND...      runs the command, and writes down how it went
#   acceptance_end                    prints the table; fails where a row did
#
# DOCKER_HOST names the engine, on the network of which this must run; DRUNNER_BINARY the drunner.

# shellcheck source=tests/integration/world.bash
source "$(dirname "${BASH_SOURCE[0]}")/../integration/world.bash"

acceptance_fail() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 1
}

acceptance_start() { # PRODUCT IMAGE
    PRODUCT=$1
    BASE=$2
    DOCKER=$(world_program docker)
    export DOCKER DOCKER_BUILDKIT=0
    "$DOCKER" image inspect "$BASE" >/dev/null 2>&1 || "$DOCKER" pull --quiet "$BASE" >/dev/null ||
        acceptance_fail "there is no image '$BASE'; next: docker pull $BASE"
    WORLD=$(mktemp -d "${TMPDIR:-/tmp}/acceptance.XXXXXX")
    chmod 755 "$WORLD"
    export DRUNNER_PREFIX=$WORLD/p
    mkdir -p "$DRUNNER_PREFIX/usr/local/bin" "$DRUNNER_PREFIX/etc/drunner" "$WORLD/bin" "$WORLD/seen"
    echo HEALTHUPTIME=0 >"$DRUNNER_PREFIX/etc/drunner/config.sh"
    ln -s "${DRUNNER_BINARY:-$ROOT/build/drunner}" "$WORLD/bin/drunner"
    ln -s "$DOCKER" "$WORLD/bin/docker"
    PATH=$WORLD/bin:$DRUNNER_PREFIX/usr/local/bin:$PATH
    BEFORE=$(engine_holds)
    trap acceptance_clean EXIT
    trap 'exit 1' INT TERM HUP
    world_start_registry
    SERVICE_IMAGE=$REGISTRY/$PRODUCT:t
    ROWS=()
    FAILED=0
    : >"$WORLD/keys"
    watch_processes >"$WORLD/seen/processes" 2>/dev/null &
    WATCH=$!
    cd "$WORLD" || exit 1
}

# Sorted: of two images of one second, an engine lists now the one, now the other first.
engine_holds() {
    {
        docker ps --all --format 'container {{.Names}}'
        docker volume ls --format 'volume {{.Name}}'
        docker network ls --format 'network {{.Name}}'
        docker images --format 'image {{.Repository}}:{{.Tag}}'
    } | sort
}

build_service() { # TAG [ARGUMENTS...]
    docker build --quiet --force-rm --build-arg "${PRODUCT^^}_IMAGE=$BASE" --tag "$@" \
        "$ROOT/services/$PRODUCT"
}

# Obliterates what was installed and forgets the service's image.
remove_services() {
    local name
    for name in "$DRUNNER_PREFIX"/var/lib/drunner/services/*/; do
        if [[ -d $name ]]; then drunner -q obliterate --purge "$(basename "$name")" || true; fi
    done
    docker images --format '{{.Repository}} {{.ID}}' | grep -F "${REGISTRY:-none}/" | cut -d' ' -f2 |
        sort -u | xargs -r docker rmi --force >/dev/null 2>&1 || true
}

engine_is_as_it_was() {
    remove_services
    diff <(printf '%s\n' "$BEFORE") <(engine_holds)
}

acceptance_clean() {
    if [[ -n ${WATCH-} ]]; then kill "$WATCH" 2>/dev/null || true; fi
    remove_services
    if [[ -n ${WORLD_REGISTRY_PID-} ]]; then world_end "$WORLD_REGISTRY_PID"; fi
    rm -rf --one-file-system "$WORLD"
}

# A row runs by itself, so that its first failing command ends it and nothing else.
row() { # PROMISE CHECK COMMAND...
    local promise=$1 check=$2 code=0 result=passed started=$SECONDS
    shift 2
    "$@" >"$WORLD/row" 2>&1 </dev/null &
    wait $! || code=$?
    if [[ $code == 77 ]]; then
        result="not in this image"
    elif [[ $code != 0 ]]; then
        result=FAILED
        FAILED=$((FAILED + 1))
        printf '%s: %s\n' "$promise" "$check" >&2
        tail -n 30 "$WORLD/row" >&2
    fi
    ROWS+=("| $promise | $check | $result |")
    if [[ -n ${ACCEPTANCE_TIMES-} ]]; then printf '%3d s  %s\n' $((SECONDS - started)) "$promise" >&2; fi
    look_around
}

# A row that this image cannot be asked.
not_in_this_image() {
    exit 77
}

acceptance_end() {
    printf '| promise | check | result |\n|---|---|---|\n'
    printf '%s\n' "${ROWS[@]}"
    ((FAILED == 0))
}

# ---- the watch over keys -------------------------------------------------------------------------

watch_processes() {
    while true; do
        ps -efww
        # Some are gone before they are read.
        cat /proc/[0-9]*/environ || true
        sleep 0.5
    done
}

# What the engine tells of every container, and what these said.
look_around() {
    local ids
    mapfile -t ids < <(docker ps --all --quiet)
    if ((${#ids[@]})); then
        docker inspect "${ids[@]}" >"$WORLD/inspected"
        jq --raw-output '.[].LogPath | select(. != "")' "$WORLD/inspected" |
            xargs -r cat "$WORLD/inspected" >>"$WORLD/seen/containers"
    fi
}

# Neither the shared key nor a secret one of curve is in what was seen, in a volume, or in a file of
# drunner's but the secrets themselves. They come by a file: a command line would be a place, too.
no_key_was_seen() { # PLACES...
    local volume
    [[ $(wc -l <"$WORLD/keys") -ge 1 ]]
    # A watch that saw nothing would find nothing.
    grep -q "$PRODUCT-start" "$WORLD/seen/processes"
    grep -q '"Config"' "$WORLD/seen/containers"
    for volume in $(docker volume ls --quiet --filter label=drunner.service); do
        docker volume inspect --format '{{.Mountpoint}}' "$volume"
    done >"$WORLD/places"
    printf '%s\n' "$WORLD/seen" "$@" >>"$WORLD/places"
    find "$DRUNNER_PREFIX" -type f ! -path '*/secrets/*' >>"$WORLD/places"
    xargs -d '\n' grep -raFlf "$WORLD/keys" <"$WORLD/places" >"$WORLD/found" || true
    if [[ -s $WORLD/found ]]; then
        echo "a key stands in:"
        cat "$WORLD/found"
        return 1
    fi
    # The search does find one that is there.
    grep -raqFf "$WORLD/keys" "$DRUNNER_PREFIX/var/lib/drunner/services"
}

# ---- what the checks ask -------------------------------------------------------------------------

until_true() { # COMMAND...
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    printf 'not within 20 seconds: %s\n' "$*"
    return 1
}

inspected() { # CONTAINER FORMAT
    docker inspect --format "$2" "$1"
}

volume_path() { # SERVICE PATH
    docker volume inspect --format '{{.Mountpoint}}' "drunner-$1-${2//[^A-Za-z0-9]/}"
}

equal() { # EXPECTED ACTUAL
    if [[ $1 != "$2" ]]; then
        printf "expected '%s'\ngot      '%s'\n" "$1" "$2"
        return 1
    fi
}

# Exits with exactly that code.
exits() { # CODE COMMAND...
    local expected=$1 code=0
    shift
    "$@" || code=$?
    equal "$expected" "$code"
}
