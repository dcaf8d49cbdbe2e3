#!/usr/bin/env bats
# The audit trail: every change by whom, what, how it ended; and that it cannot be edited unseen.

load harness

trail() {
    printf '%s' "$DRUNNER_PREFIX/var/log/drunner/audit.log"
}

fields() { # FILTER
    drunner log --json | jq -c "[.entries[] | $1]"
}

@test "each operation is a line: who, what, on which image and scripts, how it ended" {
    expect 0 env SUDO_USER=alice drunner install dtest
    expect 0 drunner log dtest
    contains "$output" "root (alice)  0  install dtest  dtest: - -> 1"
    "$DOCKER" tag dtest-2 dtest
    DTEST_FAIL=updateend expect 1 drunner update dtest
    expect 0 drunner update dtest --image dtest-2
    expect 3 drunner update dtest
    expect 0 drunner update dtest --check --image helloworld
    expect 1 drunner update nosuch
    expect 0 drunner list
    expect 0 drunner secret dtest ls
    expect 3 drunner doctor dtest
    expect 0 dtest version
    expect 0 drunner uninstall dtest
    equals '[["install",0,"",false],["update",1,"script-failed",true],["update",0,"",false],["update",3,"",false],["update",1,"not-installed",false],["uninstall",0,"",false]]' \
        "$(fields '[.command, .exit, .kind, .rolled_back]')"
    equals "[null,\"$(image_id dtest-2)\"]" \
        "$(drunner log --json | jq -c '[.entries[0].services[0].before, .entries[2].services[0].after.image_id]')"
    equals "$(drunner diff dtest dtest-2 --json | jq -r .sha256)" \
        "$(drunner log --json | jq -r '.entries[2].services[0].after.scripts')"
    expect 0 drunner log dtest -n 1
    contains "$output" "uninstall dtest"
    expect 0 drunner log --verify
    contains "$output" "6 lines, all as they were written"
    expect 0 drunner obliterate --purge dtest
}

@test "one edited byte: log --verify names the line; a head that was noted down finds a rewritten trail" {
    expect 0 drunner install helloworld
    local head
    head=$(drunner log --verify --json | jq -r .head)
    expect 3 drunner install helloworld
    expect 0 drunner log --verify --head "$head"
    cp "$(trail)" kept
    sed -i '1s/"uid":0/"uid":1/' "$(trail)"
    expect 1 drunner log --verify
    says "line 1 of '$(trail)': it is not as it was written"
    # Dropped from the end, the lines left are a whole chain.
    sed 1d kept | head -n 0 >"$(trail)"
    expect 0 drunner log --verify
    expect 1 drunner log --verify --head "$head"
    says "was rewritten, or shortened"
    cp kept "$(trail)"
    expect 0 drunner log --verify
}

@test "who accepted which scripts is in it" {
    configure HEALTHUPTIME=0 REVIEW=pin
    local digest
    digest=$(drunner diff dtest dtest --json | jq -r .sha256)
    expect 0 env SUDO_USER=bob drunner trust dtest --sha256 "$digest"
    expect 0 drunner log dtest
    contains "$output" "root (bob)  0  trust dtest --sha256=$digest"
}

@test "what is secret stands in no log, whoever failed on it" {
    local i
    printf 'planted-01' | drunner secret dtest set key 2>/dev/null || true
    expect 0 drunner install configurable --set OWNER=planted-02
    printf 'planted-03' | expect 0 drunner secret configurable set key
    expect 0 drunner configure configurable OWNER=planted-04
    run drunner install configurable --set=OWNER=planted-05
    expect 0 env PASS=planted-08 drunner backup configurable "$PWD/b"
    run env PASS=planted-09 drunner verify "$PWD/b"
    run env PASS=planted-10 drunner restore "$PWD/b" copy
    printf 'planted-11' >password
    run drunner restore "$PWD/b" copy --password-file password
    expect 0 env PASS=planted-08 drunner restore "$PWD/b" copy
    for i in $(seq 12 20); do
        printf 'planted-%s' "$i" | expect 0 drunner secret copy set "key$i"
        drunner secret copy rm "key$i"
    done
    [[ -s $(trail) && -s $DRUNNER_PREFIX/var/log/drunner/drunner.log ]]
    equals "" "$(grep -rl planted- "$DRUNNER_PREFIX/var/log" "$DRUNNER_PREFIX/run" || true)"
    equals "" "$(drunner log --json | grep planted- || true)"
    equals "" "$(grep -a planted- b || true)"
}

@test "a trail that cannot be written is a warning, and what was done stands" {
    expect 0 drunner install helloworld
    rm "$(trail)"
    mkdir "$(trail)"
    expect 0 drunner uninstall helloworld
    contains "$stderr" "the audit trail lacks this"
    rmdir "$(trail)"
}

@test "an operation that was killed shows in the line of the one that recovered it" {
    expect 0 drunner install steady
    local before
    before=$(wc -l <"$(trail)")
    "$DOCKER" tag steady-2 steady
    drunner update steady >/dev/null 2>&1 3>&- &
    local killed=$!
    until [[ -e $DRUNNER_PREFIX/var/lib/drunner/services/steady/journal ]]; do sleep 0.01; done
    kill -KILL "$killed"
    wait "$killed" || true
    expect 0 drunner recover steady
    equals $((before + 1)) "$(wc -l <"$(trail)")"
    expect 0 drunner log steady -n 1
    contains "$output" "recover steady"
    expect 0 drunner log --verify
}
