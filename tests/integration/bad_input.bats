#!/usr/bin/env bats
# Bad input: each is 1 with one clear sentence, and nothing changed.

load harness

@test "no such image" {
    refused "nosuchimage" drunner install "$REGISTRY/nosuchimage"
}

@test "an image that runs as root" {
    refused "root" drunner install as-root
}

@test "no servicerunner, no servicecfg.sh" {
    refused "servicerunner" drunner install no-servicerunner
    refused "servicecfg.sh" drunner install no-servicecfg
}

# shellcheck disable=SC2016  # it is the image's servicecfg.sh
@test "a servicecfg.sh that would be executed, in an image without bash" {
    DOCKER=$DOCKER "$ROOT/scripts/base-image" --without-bash base-nobash >/dev/null
    BASE_IMAGE=base-nobash build_with_config needs-bash-none 'VOLUMES=("$(id)")'
    refused "bash" drunner install needs-bash-none
}

# shellcheck disable=SC2016  # it is the image's servicecfg.sh
@test "a servicecfg.sh that would be executed is not executed on the host" {
    build_with_config evil 'VOLUMES=("/data$(touch /tmp/drunner-was-here)")'
    run --separate-stderr drunner install evil
    [[ $status == 0 || $status == 1 ]]
    [[ ! -e /tmp/drunner-was-here ]]
}

# shellcheck disable=SC2016  # it is the image's servicecfg.sh
@test "what bash makes of VOLUMES in the image is judged like any other" {
    build_with_config computed 'VOLUMES=("$(id)")'
    refused "VOLUMES|path|uid=" drunner install computed
}

@test "volumes that are no absolute, normal path" {
    local path
    for path in ../x x /a/../b /a/./b /a//b /; do
        build_with_config bad-volume "VOLUMES=(\"$path\")"
        refused "." drunner install bad-volume
    done
}

@test "two volumes with one mangled name, one path twice, too many" {
    refused "/a/b|/ab" drunner install volume-collision
    build_with_config twice 'VOLUMES=("/a" "/a")'
    refused "/a" drunner install twice
    build_with_config many "VOLUMES=($(printf '/v%s ' {1..65}))"
    refused "64" drunner install many
    build_with_config nameless 'VOLUMES=("/--")'
    refused "/--" drunner install nameless
}

@test "servicecfg.sh that bash cannot read" {
    build_with_config broken 'VOLUMES=("/a"'
    refused "servicecfg.sh" drunner install broken
}

@test "hostile files below /drunner" {
    local name
    for name in hostile-symlink hostile-setid hostile-fifo; do
        refused "." drunner install "$name"
    done
}

@test "a USER that cannot be resolved" {
    build_with_config nobody-there 'VOLUMES=()' nosuchuser
    refused "nosuchuser" drunner install nobody-there
    build_with_config zero 'VOLUMES=()' 0:22022
    refused "root|0" drunner install zero
}

@test "service names that are none" {
    local name
    for name in ../x -x /x . .. "" "a b" Upper $'new\nline' "$(printf 'x%.0s' {1..64})"; do
        refused "." drunner install dtest "$name"
    done
}

@test "service names that are commands already" {
    refused "'ls'" drunner install dtest ls
    refused "'if'" drunner install dtest if
    refused "'cd'" drunner install dtest cd
    refused "drunner" drunner install dtest drunner-x
}

@test "a launcher that exists is never written over" {
    echo mine >"$DRUNNER_PREFIX/usr/local/bin/dtest"
    refused "dtest" drunner install dtest
    equals mine "$(cat "$DRUNNER_PREFIX/usr/local/bin/dtest")"
}

@test "references that are none" {
    local reference
    for reference in "" "a/UPPER" "a b" "x:" "x@sha256:12" "http://x/y" ":tag"; do
        refused "." drunner install "$reference"
    done
}

@test "a command line that cannot be understood" {
    refused "nosuch" drunner --nosuch
    refused "nosuch" drunner install --nosuch dtest
    refused "nosuchcommand" drunner nosuchcommand
    refused "." drunner install
    refused "." drunner install a b c
    refused "." drunner backup
    refused "." drunner --wait soon list
    refused "instal" drunner instal dtest
    names_next "install" || contains "$stderr" install
}

@test "an operator's config.sh that cannot be read" {
    printf 'PULL=sometimes\n' >"$DRUNNER_PREFIX/etc/drunner/config.sh"
    refused "config.sh" drunner install dtest
    # shellcheck disable=SC2016  # it must not be executed
    printf 'BACKUPDIR=$(touch /tmp/drunner-was-here)\n' >"$DRUNNER_PREFIX/etc/drunner/config.sh"
    run drunner install dtest
    [[ ! -e /tmp/drunner-was-here ]]
    rm -f "$DRUNNER_PREFIX/etc/drunner/config.sh"
}
