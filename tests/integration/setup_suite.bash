# shellcheck shell=bash
# Once per run of bats: the world (world.bash), unless scripts/test has started one already.

# shellcheck source=tests/integration/world.bash
source "$(dirname "${BASH_SOURCE[0]}")/world.bash"

setup_suite() {
    bats_require_minimum_version 1.5.0
    export DRUNNER_BINARY=${DRUNNER_BINARY:-$ROOT/build/drunner}
    if [[ ! -x $DRUNNER_BINARY ]]; then
        printf "there is no '%s'; next: scripts/build --tests\n" "$DRUNNER_BINARY" >&2
        return 1
    fi
    if [[ -z ${WORLD-} ]]; then
        world_start
        export WORLD_IS_OURS=yes
    fi
}

teardown_suite() {
    if [[ ${WORLD_IS_OURS-} == yes ]]; then world_stop; fi
}
