# shellcheck shell=bash
# What every integration test starts from: an empty prefix on the run's private engine, ways to run
# drunner, and ways to see whether the machine changed. At its end a test must leave no container,
# volume, network or tag that drunner made: what it installed is obliterated, the rest is a failure.
#
# Tests source this file and get setup and teardown with it.

# shellcheck disable=SC2154  # output, stderr and status are set by run

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

setup() {
    bats_require_minimum_version 1.5.0
    export DRUNNER_PREFIX=$BATS_TEST_TMPDIR/p
    mkdir -p "$DRUNNER_PREFIX/usr/local/bin" "$BATS_TEST_TMPDIR/work"
    mkdir "$BATS_TEST_TMPDIR/bin"
    ln -s "$DRUNNER_BINARY" "$BATS_TEST_TMPDIR/bin/drunner"
    PATH=$BATS_TEST_TMPDIR/bin:$DRUNNER_PREFIX/usr/local/bin:$PATH
    # dtest, the witness, writes its calls down and fails where it is told to.
    mkdir -p "$DRUNNER_PREFIX/etc/drunner"
    configure HEALTHUPTIME=0
    export DTEST_CALLS=$BATS_TEST_TMPDIR/calls DTEST_FAIL=
    ENGINE=$DOCKER_HOST
    TAGS_BEFORE=$(tags)
    cd "$BATS_TEST_TMPDIR/work" || return 1
}

# The operator's settings, beside those that every test needs.
configure() { # KEY=VALUE...
    printf '%s\n' 'HOOKENV="DTEST_CALLS DTEST_FAIL"' "$@" >"$DRUNNER_PREFIX/etc/drunner/config.sh"
}

teardown() {
    local name left
    if [[ -n ${BATS_TEST_COMPLETED-} ]]; then
        DTEST_FAIL=
        for name in "$DRUNNER_PREFIX"/var/lib/drunner/services/*/; do
            [[ -d $name ]] || continue
            # Without DOCKER_HOST it is the engine that the service is bound to, maybe the proxy.
            env -u DOCKER_HOST "$DRUNNER_BINARY" obliterate --purge "$(basename "$name")" >/dev/null ||
                printf "teardown: cannot obliterate '%s'\n" "$(basename "$name")"
        done
    fi
    proxy_stop
    if [[ -n ${BATS_TEST_COMPLETED-} ]]; then left=$(engine_objects); fi
    sweep
    if [[ -n ${left-} ]]; then
        printf 'left behind on the engine:\n%s\n' "$left"
        return 1
    fi
}

# What Podman does otherwise by its nature; at the head of a test.
not_on_podman() { # REASON
    if [[ $DRUNNER_ENGINE == podman ]]; then skip "Podman: $1"; fi
}

# ---- the command line ----------------------------------------------------------------------------

# Runs drunner (or, with a word that is a launcher, that) and demands an exit code. Afterwards
# $output is its stdout and $stderr its stderr.
expect() { # CODE drunner|LAUNCHER ARGUMENTS...
    local code=$1
    shift
    run --separate-stderr "$@"
    if [[ $status != "$code" ]]; then
        printf '%s: exit %s, not %s\n--- stdout\n%s\n--- stderr\n%s\n' \
            "$*" "$status" "$code" "$output" "$stderr"
        return 1
    fi
}

# The failure was told in one sentence, and the sentence says this.
says() { # EXTENDED-REGULAR-EXPRESSION
    local sentences
    sentences=$(grep -c '^drunner: ' <<<"$stderr" || true)
    if [[ $sentences != 1 ]]; then
        printf 'not one sentence but %s:\n%s\n' "$sentences" "$stderr"
        return 1
    fi
    if ! grep '^drunner: ' <<<"$stderr" | grep -qE -- "$1"; then
        printf "does not say '%s':\n%s\n" "$1" "$stderr"
        return 1
    fi
    if grep '^drunner: ' <<<"$stderr" | grep -qE '^drunner: [A-Z]|\.$'; then
        printf 'a sentence with a capital or a full stop:\n%s\n' "$stderr"
        return 1
    fi
}

# It was said on stderr, whatever else was.
tells() { # TEXT
    contains "$stderr" "$1"
}

# The way out stands below the sentence.
names_next() { # TEXT
    grep -qE "^next: .*($1)" <<<"$stderr" || {
        printf "no 'next: ... %s':\n%s\n" "$1" "$stderr"
        return 1
    }
}

# Fails with 1 and one sentence, writes nothing to stdout, and changes nothing.
refused() { # EXTENDED-REGULAR-EXPRESSION drunner ARGUMENTS...
    local pattern=$1 before
    shift
    before=$(snapshot)
    expect 1 "$@" </dev/null
    says "$pattern"
    if [[ -n $output ]]; then
        printf 'results where there are none:\n%s\n' "$output"
        return 1
    fi
    same "$before" "$(snapshot)"
}

# As refused, for an update that was tried: service.json remembers the image that failed.
rolled_back() { # EXTENDED-REGULAR-EXPRESSION drunner ARGUMENTS...
    local pattern=$1 before
    shift
    before=$(snapshot | grep -v '  ./.*/service.json$')
    expect 1 "$@" </dev/null
    says "$pattern"
    same "$before" "$(snapshot | grep -v '  ./.*/service.json$')"
}

# drunner test finds nothing wrong with an image, and leaves the machine as it was.
passes() { # LEVEL ARGUMENTS...
    local level=$1 before
    shift
    before=$(snapshot)
    expect 0 drunner test "$@"
    [[ $output != *✘* ]]
    contains "$(tail -n 1 <<<"$output")" "passes and reaches level $level of 8"
    same "$before" "$(snapshot)"
    equals "" "$(ls "$DRUNNER_PREFIX/var/lib/drunner/tests")"
}

same() { # BEFORE AFTER
    if [[ $1 != "$2" ]]; then
        diff <(printf '%s\n' "$1") <(printf '%s\n' "$2") || true
        return 1
    fi
}

equals() { # EXPECTED ACTUAL
    if [[ $1 != "$2" ]]; then
        printf "expected '%s'\ngot      '%s'\n" "$1" "$2"
        return 1
    fi
}

contains() { # TEXT PART
    if [[ $1 != *"$2"* ]]; then
        printf "'%s' is not in:\n%s\n" "$2" "$1"
        return 1
    fi
}

# ---- images --------------------------------------------------------------------------------------

build_directory() { # DIRECTORY TAG
    DOCKER_BUILDKIT=0 "$DOCKER" --host "$ENGINE" build --quiet --force-rm \
        --build-arg "BASE_IMAGE=$BASE_IMAGE" --tag "$2" "$1" >/dev/null
}

# A copy of an example's directory, to be changed before it is built: its path.
copy_of() { # NAME
    local directory from=$ROOT/services/$1
    [[ -d $from ]] || from=$ROOT/tests/services/$1
    directory=$(mktemp -d "$BATS_TEST_TMPDIR/image.XXXXXX")
    cp -R "$from/." "$directory/"
    printf '%s\n' "$directory"
}

# helloworld with another servicecfg.sh, and with another USER where one is given.
build_with_config() { # TAG CONFIG [USER]
    local directory
    directory=$(copy_of helloworld)
    printf '%s\n' "$2" >"$directory/drunner/servicecfg.sh"
    if [[ $# == 3 ]]; then sed -i "s/^USER .*/USER $3/" "$directory/Dockerfile"; fi
    build_directory "$directory" "$1"
}

push() { # TAG
    "$DOCKER" --host "$ENGINE" push --quiet "$1" >/dev/null
}

image_id() { # REFERENCE
    "$DOCKER" --host "$ENGINE" image inspect --format '{{.Id}}' "$1"
}

# ---- what is on the machine ----------------------------------------------------------------------

# One line for each thing below a directory: name, type, mode, owner, times, attributes, content.
listing() { # DIRECTORY
    (
        cd "$1" || exit 1
        find . -printf '%p|%y|%m|%U:%G|%n|%l' \
            \( -path . -printf '|\n' -o -type d -printf '|%T@\n' -o -printf '|%s|%T@\n' \) |
            sort
        find . -type f -print0 | sort -z | xargs -0 -r sha256sum
        find . -print0 | sort -z | xargs -0 -r getfattr --no-dereference --dump --match=- 2>/dev/null
        find . -print0 | sort -z | xargs -0 -r getfacl --physical --numeric 2>/dev/null
    )
}

mount_point() { # VOLUME
    "$DOCKER" --host "$ENGINE" volume inspect --format '{{.Mountpoint}}' "$1"
}

volume_listing() { # VOLUME
    listing "$(mount_point "$1")"
}

tags() {
    "$DOCKER" --host "$ENGINE" images --no-trunc \
        --format '{{.Repository}}:{{.Tag}} {{.ID}}' | grep -vF '<none>' | sort
}

# The files of installed services and the launchers. Locks, logs, the cache of what was read out of
# images and the installation's id are no state of a service.
files_state() {
    (
        cd "$DRUNNER_PREFIX" || exit 1
        find . \( -path ./run -o -path ./var/log -o -path ./var/lib/drunner/images -o \
            -path ./var/lib/drunner/installation \) -prune -o \
            \( ! -type d -o -path './var/lib/drunner/services/*' \) \
            -printf '%p|%y|%m|%U:%G|%l\n' | sort
        find . -type f -path './var/lib/drunner/services/*' -print0 |
            sort -z | xargs -0 -r sha256sum
    )
}

engine_state() {
    local volume
    "$DOCKER" --host "$ENGINE" ps --all --quiet |
        xargs -r "$DOCKER" --host "$ENGINE" inspect \
            --format '{{.Name}}|{{.Config.Image}}|{{.State.Status}}|{{json .Config.Labels}}' | sort
    "$DOCKER" --host "$ENGINE" network ls --format '{{.Name}}' | sort
    for volume in $("$DOCKER" --host "$ENGINE" volume ls --quiet | sort); do
        "$DOCKER" --host "$ENGINE" volume inspect --format '{{.Name}}|{{json .Labels}}' "$volume"
        volume_listing "$volume"
    done
}

snapshot() {
    files_state
    engine_state
    tags
}

# What drunner could have left: containers, volumes, and tags of its own.
engine_objects() {
    {
        "$DOCKER" ps --all --format 'container {{.Names}}'
        "$DOCKER" volume ls --format 'volume {{.Name}}'
        "$DOCKER" images --format '{{.Repository}}:{{.Tag}}' | sed -n 's#^localhost/drunner:#tag &#p'
        "$DOCKER" network ls --format '{{.Name}}' | sed -E '/^(bridge|host|none|podman)$/d; s/^/network /'
    } | sort
}

# The engine as the run began: what a failed test left must not fail the next one.
sweep() {
    "$DOCKER" ps --all --quiet | xargs -r "$DOCKER" rm --force --volumes >/dev/null 2>&1 || true
    "$DOCKER" volume ls --quiet | xargs -r "$DOCKER" volume rm --force >/dev/null 2>&1 || true
    "$DOCKER" network prune --force >/dev/null 2>&1 || true
    local tag id now
    now=$(tags)
    if [[ $now == "$TAGS_BEFORE" ]]; then return 0; fi
    while read -r tag id; do
        "$DOCKER" tag "$id" "$tag"
    done < <(comm -23 <(printf '%s\n' "$TAGS_BEFORE") <(printf '%s\n' "$now"))
    comm -13 <(cut -d' ' -f1 <<<"$TAGS_BEFORE") <(cut -d' ' -f1 <<<"$now") |
        xargs -r "$DOCKER" rmi --force >/dev/null 2>&1 || true
}

containers_of() { # SERVICE
    "$DOCKER" ps --all --filter "label=drunner.service=$1" --format '{{.Names}}' |
        grep -v '^drunner-keep-' || true
}

# What was called since the last forget_calls, one word a line.
calls() {
    cut -d' ' -f1 "$DTEST_CALLS" 2>/dev/null || true
}

forget_calls() {
    rm -f "$DTEST_CALLS"
}

# Some data in both volumes of a dtest: owners, modes, times, links, holes and odd names.
fill_dtest() { # SERVICE
    local one two
    one=$(mount_point "drunner-$1-data")
    two=$(mount_point "drunner-$1-varlibwitness")
    printf 'precious\n' >"$one/precious"
    head -c 300000 /dev/urandom >"$one/random"
    mkdir -p "$one/deep/er" "$one/empty"
    ln "$one/precious" "$one/deep/hard link"
    ln -s ../precious "$one/deep/er/soft"
    ln -s /nowhere "$two/dangling"
    printf 'x' >"$two/"$'name with \n a line'
    truncate -s 8M "$two/hole"
    printf 'end' >>"$two/hole"
    mkfifo "$two/pipe"
    chmod 04751 "$one/random"
    chmod 02770 "$one/deep"
    chown 22022:33 "$one/precious"
    chown -h 1234:4321 "$one/deep/er/soft"
    setfattr -n user.colour -v green "$one/precious"
    setfacl -m u:1234:r "$one/random"
    touch -d '2001-02-03 04:05:06.123456789' "$one/precious" "$one/empty"
}

# ---- the proxy -----------------------------------------------------------------------------------

# From here on drunner speaks to the engine through the proxy; requests writes what it asked for.
proxy_start() {
    local ready
    PROXY_RECORD=$BATS_TEST_TMPDIR/requests
    PROXY_RULES=$BATS_TEST_TMPDIR/rules
    : >"$PROXY_RECORD"
    : >"$PROXY_RULES"
    rm -f "$BATS_TEST_TMPDIR/proxy.out"
    mkfifo "$BATS_TEST_TMPDIR/proxy.out"
    "$ROOT/build/engine-proxy" --listen "$BATS_TEST_TMPDIR/e.sock" --engine "${ENGINE#unix://}" \
        --record "$PROXY_RECORD" --rules "$PROXY_RULES" >"$BATS_TEST_TMPDIR/proxy.out" 3>&- 4>&- &
    PROXY_PID=$!
    read -r ready <"$BATS_TEST_TMPDIR/proxy.out"
    [[ $ready == ready ]]
    export DOCKER_HOST=unix://$BATS_TEST_TMPDIR/e.sock
}

proxy_stop() {
    [[ -n ${PROXY_PID-} ]] || return 0
    kill "$PROXY_PID" 2>/dev/null || true
    wait "$PROXY_PID" 2>/dev/null || true
    PROXY_PID=
    export DOCKER_HOST=$ENGINE
}

requests() {
    cat "$PROXY_RECORD"
}

# Requests that can change something on the engine.
changing_requests() {
    grep -vE '^(GET|HEAD) ' "$PROXY_RECORD" || true
}
