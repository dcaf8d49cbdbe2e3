#!/usr/bin/env bats
# Many services at once: -j, registries that are far away or busy, one that fails, signals and kills.

load harness

# A registry between drunner and the run's own one: FAR is its address, FAR_DIRECTORY what steers it.
far_registry_start() {
    FAR_DIRECTORY=$BATS_TEST_TMPDIR/far
    mkdir "$FAR_DIRECTORY"
    /usr/bin/python3 "$ROOT/tests/tools/registry_proxy.py" "$REGISTRY" "$FAR_DIRECTORY" 3>&- 4>&- &
    FAR_PID=$!
    until [[ -e $FAR_DIRECTORY/port ]]; do
        kill -0 "$FAR_PID"
        sleep 0.05
    done
    FAR=127.0.0.1:$(<"$FAR_DIRECTORY/port")
}

# Fifty services, each of a tag of its own that the far registry has.
install_fifty() {
    local tags=$WORLD/registry/docker/registry/v2/repositories/far/h/_manifests/tags i
    "$DOCKER" tag helloworld "$REGISTRY/far/h:1"
    push "$REGISTRY/far/h:1"
    "$DOCKER" pull --quiet "$FAR/far/h:1" >/dev/null
    for ((i = 2; i <= 50; i++)); do
        cp -R "$tags/1" "$tags/$i"
        "$DOCKER" tag "$FAR/far/h:1" "$FAR/far/h:$i"
    done
    seq 50 | xargs -P 4 -I N drunner -q install "$FAR/far/h:N" sN
}

images() { # how many of which
    jq -r '.services[].image_id' <<<"$output" | sort | uniq -c | awk '{print $2, $1}'
}

obliterate_all() {
    local names
    mapfile -t names < <(drunner list --names)
    printf '%s\n' "${names[@]}" | xargs -P 4 -n 1 drunner -q obliterate --purge >/dev/null
}

@test "fifty services: unchanged, a busy registry, a kill in the middle, and one that fails" {
    local start services=$DRUNNER_PREFIX/var/lib/drunner/services old new one i killed=0
    far_registry_start
    install_fifty
    old=$(image_id helloworld)

    # Each reference is asked for once, by two connections, however many are at work.
    echo 0.05 >"$FAR_DIRECTORY/delay"
    : >"$FAR_DIRECTORY/requests"
    start=$EPOCHREALTIME
    expect 3 drunner update --all -j 8 --json
    printf '# update --all of 50 unchanged services, their registry 50 ms away: %s s\n' \
        "$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN {printf "%.2f", b - a}')" >&3
    equals 50 "$(jq '[.services[] | select(.result == "unchanged")] | length' <<<"$output")"
    equals "" "$(awk '$3 != 200' "$FAR_DIRECTORY/requests")"
    equals 50 "$(grep -c '^HEAD /v2/far/h/manifests/' "$FAR_DIRECTORY/requests")"
    equals 50 "$(wc -l <"$FAR_DIRECTORY/requests")"
    equals "" "$(awk '$4 > 2' "$FAR_DIRECTORY/requests")"

    # A registry that is busy is asked again, when it says.
    echo 2 >"$FAR_DIRECTORY/busy"
    : >"$FAR_DIRECTORY/requests"
    expect 3 drunner update --all -j 8
    equals 2 "$(grep -c ' 429 ' "$FAR_DIRECTORY/requests")"
    equals 52 "$(wc -l <"$FAR_DIRECTORY/requests")"
    equals "" "$(awk '$4 > 2' "$FAR_DIRECTORY/requests")"

    # Killed in the middle: each is old or new, and whole.
    echo 0 >"$FAR_DIRECTORY/delay"
    local directory
    directory=$(copy_of helloworld)
    echo '# new' >>"$directory/drunner/servicerunner"
    build_directory "$directory" helloworld-new
    new=$(image_id helloworld-new)
    for ((i = 1; i <= 50; i++)); do "$DOCKER" tag helloworld-new "$FAR/far/h:$i"; done
    drunner -q update --all -j 4 >/dev/null 2>&1 3>&- &
    local updating=$!
    until (($(find "$services" -mindepth 3 -maxdepth 3 -path '*/releases/2' | wc -l) >= 6)); do
        kill -0 "$updating"
        sleep 0.02
    done
    kill -KILL "$updating"
    wait "$updating" || killed=$?
    equals 137 "$killed"
    run drunner recover --all
    [[ $status == 0 || $status == 3 ]]
    expect 0 drunner status --all -j 4 --json
    equals 50 "$(jq '[.services[] | select(.whole)] | length' <<<"$output")"
    equals "" "$(images | grep -vE "^($old|$new) " || true)"
    one=$(jq -r --arg old "$old" 'first(.services[] | select(.image_id == $old) | .service)' <<<"$output")

    # One that fails stops none of the others.
    rm "$services/$one/drunner/servicerunner"
    expect 1 drunner status --all
    equals "$one" "$(awk '$2 == "broken" {print $1}' <<<"$output")"
    expect 1 drunner update --all -j 4 --json
    equals "[\"$one\"]" "$(jq -c '[.services[] | select(.result == "failed") | .service]' <<<"$output")"
    grep -q "^$one | warning: \|^warning: $one | " <<<"$stderr"
    expect 0 drunner recover "$one"
    expect 0 drunner status --all --json
    equals 49 "$(images | sed -n "s/^$new //p")"
    expect 0 drunner log -n 1
    obliterate_all
    kill "$FAR_PID"
}

@test "a signal ends what runs side by side, and each undoes its own" {
    local name before code=0
    printf 'HOOKENV="DTEST_CALLS DTEST_FAIL DTEST_HANG"\nHEALTHUPTIME=0\n' \
        >"$DRUNNER_PREFIX/etc/drunner/config.sh"
    for name in one two three; do expect 0 drunner install dtest "$name"; done
    "$DOCKER" tag dtest-2 dtest
    before=$(snapshot)
    DTEST_HANG=updateend drunner update --all -j 3 >out 2>err 3>&- &
    local updating=$!
    # The lines of each begin with its name.
    for name in one two three; do
        until grep -q "^$name | updateend hangs" err; do
            kill -0 "$updating"
            sleep 0.05
        done
    done
    kill -TERM "$updating"
    wait "$updating" || code=$?
    equals 1 "$code"
    equals 1 "$(grep -c '^drunner: .*: interrupted by SIGTERM' err)"
    same "$before" "$(snapshot)"
    expect 0 drunner status --all
    expect 0 drunner log -n 1
    contains "$output" "update --all"
}

@test "-j takes a number, and several" {
    expect 0 drunner install helloworld
    refused "'--jobs 0' is not a whole number from 1 to 64" drunner update --all -j 0
    refused "--jobs is for several at once" drunner update helloworld -j 2
    refused "--jobs is for several at once" drunner status helloworld -j 2
    refused "needs SERVICE or --all" drunner status
    refused "exclude each other" drunner status --all helloworld
    expect 3 drunner update helloworld helloworld -j 2 --json
    equals 1 "$(jq '.services | length' <<<"$output")"
}

@test "verify and checkimage of several: 1 if one is not good" {
    expect 0 drunner install dtest
    expect 0 drunner backup dtest "$PWD/a"
    cp a b
    cp a c
    truncate -s -100 b
    expect 0 drunner verify a c -j 2 --json
    equals '["a",true,"c",true]' "$(jq -c '[.backups[] | .file, .good]' <<<"$output")"
    expect 1 drunner verify a b nosuch c
    equals 'a good|b failed|nosuch failed|c good' "$(awk 'NR > 1 {print $1, $2}' <<<"$output" | paste -sd '|')"
    refused "standard input is one backup" drunner verify a - c
    expect 0 drunner checkimage dtest helloworld "$ROOT/services/helloworld" -j 3
    equals 3 "$(grep -c '  passes ' <<<"$output")"
    expect 1 drunner checkimage dtest as-root --json
    equals '[true,false]' "$(jq -c '[.images[].passes]' <<<"$output")"
    refused "--sarif answers with the log of one image" drunner checkimage --sarif dtest helloworld
}
