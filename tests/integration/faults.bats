#!/usr/bin/env bats
# Every request to the engine made to fail, one after the other: refused with 500, and done but its
# answer lost. The machine must equal the one before, until there is no request left to break.

load harness

# Breaks the Nth request with FAULT, for N = 1, 2 ... until the command succeeds untouched; PREPARE
# brings the machine back to where it started, also after a command that succeeded in spite of it. A
# service is bound to the socket it was installed by, so the preparation goes through the proxy too.
break_each() { # FAULT PREPARE ARGUMENTS...
    local fault=$1 prepare=$2 number before reached
    shift 2
    for ((number = 1; number < 300; number++)); do
        $prepare
        forget_scratch
        before=$(snapshot)
        proxy_start
        printf '%s:%s\n' "$number" "$fault" >"$PROXY_RULES"
        run --separate-stderr drunner "$@"
        reached=$(wc -l <"$PROXY_RECORD")
        proxy_stop
        if ((reached < number)); then
            equals 0 "$status"
            return 0
        fi
        if [[ $status == 1 ]]; then
            printf 'after %s of request %s: %s\n' "$fault" "$number" \
                "$(sed -n "${number}p" "$PROXY_RECORD")"
            says "."
            forget_scratch
            if grep -q '^next: drunner recover' <<<"$stderr"; then
                finished_by_recover "$before" "${!#}"
            else
                same "$(without_manifest <<<"$before")" "$(snapshot | without_manifest)"
            fi
        fi
    done
    printf 'it never succeeded\n'
    return 1
}

# Where the removal of what drunner looks into an image with is refused itself, or its name never
# arrives, it stays, labelled, until "drunner clean" finds it old enough to be nobody's.
forget_scratch() {
    "$DOCKER" ps --all --quiet --filter label=drunner.scratch |
        xargs -r "$DOCKER" rm --force --volumes >/dev/null
    "$DOCKER" volume ls --quiet --filter label=drunner.scratch |
        xargs -r "$DOCKER" volume rm >/dev/null
}

# service.json remembers the image of an update that failed.
without_manifest() {
    grep -v '  ./.*/service.json$'
}

outdated() {
    proxy_start
    drunner obliterate --purge dtest >/dev/null 2>&1 || true
    "$DOCKER" --host "$ENGINE" tag "$(sed -n 's/^dtest:latest //p' <<<"$TAGS_BEFORE")" dtest
    drunner install dtest >/dev/null
    "$DOCKER" --host "$ENGINE" tag dtest-2 dtest
    proxy_stop
}

# Past its commit an operation goes forward only: recover finishes it, or undoes what is not.
finished_by_recover() { # BEFORE SERVICE
    local code=0
    proxy_start
    drunner recover "$2" >/dev/null || code=$?
    proxy_stop
    [[ $code != 1 ]]
    if [[ -d $DRUNNER_PREFIX/var/lib/drunner/services/$2 ]]; then
        proxy_start
        expect 0 drunner status "$2"
        proxy_stop
    else
        same "$(without_manifest <<<"$1")" "$(snapshot | without_manifest)"
    fi
}

nothing_there_by_proxy() {
    proxy_start
    drunner obliterate --purge dtest >/dev/null 2>&1 || true
    drunner obliterate --purge copy >/dev/null 2>&1 || true
    proxy_stop
}

finish_by_proxy() {
    nothing_there_by_proxy
    forget_scratch
    equals "" "$(engine_objects)"
}

@test "install: the engine refuses each request" {
    break_each error nothing_there_by_proxy install dtest
    finish_by_proxy
}

@test "install: each answer of the engine is lost" {
    break_each lost nothing_there_by_proxy install dtest
    finish_by_proxy
}

@test "update: the engine refuses each request" {
    break_each error outdated update dtest
    finish_by_proxy
}

@test "update: each answer of the engine is lost" {
    break_each lost outdated update dtest
    finish_by_proxy
}

# simplesecrets: its hooks ask nothing of the engine, where dtest's restore waits for ever when the
# docker command line does.
backed_up() {
    expect 0 drunner install simplesecrets
    printf 'secret\n' >"$(mount_point drunner-simplesecrets-secrets)/key"
    expect 0 drunner backup simplesecrets b
    expect 0 drunner obliterate simplesecrets
}

@test "restore: the engine refuses each request" {
    backed_up
    break_each error nothing_there_by_proxy restore b copy
    finish_by_proxy
}

@test "restore: each answer of the engine is lost" {
    backed_up
    break_each lost nothing_there_by_proxy restore b copy
    finish_by_proxy
}
