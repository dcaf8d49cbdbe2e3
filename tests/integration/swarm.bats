#!/usr/bin/env bats
# Secrets for a Swarm: given to one that is there, never making one. The engine of this file is its
# own, in a network namespace of its own: the Swarm is the test's.

load harness
load swarm

eval "$(declare -f teardown | sed '1s/teardown/harness_teardown/')"

teardown() {
    export DOCKER_HOST=$ENGINE
    stop_swarm_engine
    harness_teardown
}

@test "a secret is given to a Swarm that is there, and only then" {
    start_swarm_engine secretive
    export DOCKER_HOST=unix://$SWARM/d.sock
    expect 0 drunner install secretive
    printf 'the content' >content
    drunner secret secretive set key <content

    expect 1 secretive publish key
    contains "$stderr" "manages no Swarm (it is 'inactive')"
    equals inactive "$(swarm info --format '{{.Swarm.LocalNodeState}}')"
    expect 0 secretive withdraw

    swarm swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 >/dev/null
    printf foreign | swarm secret create foreign - >/dev/null
    expect 1 secretive publish nosuch
    contains "$stderr" "secrets missing: nosuch"
    expect 0 secretive publish key
    local published=$output
    expect 0 secretive publish key
    equals "$published" "$output"
    run swarm secret inspect "$published"
    [[ $output != *"the content"* && $output != *"$(base64 -w 0 <content)"* ]]
    swarm service create --detach --name served --restart-condition none \
        --secret "source=$published,target=key,uid=22022,mode=0400" \
        secretive /bin/sh -c 'cat /run/secrets/key' >/dev/null 2>&1
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if [[ $(swarm service logs --raw served 2>/dev/null) == "the content" ]]; then break; fi
        sleep 0.1
    done
    equals "the content" "$(swarm service logs --raw served)"
    swarm service rm served >/dev/null

    # Another content is another secret there; none but the service's own are taken away.
    printf 'the next' >content
    drunner secret secretive set key <content
    expect 0 secretive publish key
    [[ $output != "$published" ]]
    for ((tries = 0; tries < 100; tries++)); do
        run secretive withdraw
        if [[ $status == 0 ]]; then break; fi
        sleep 0.1
    done
    equals foreign "$(swarm secret ls --format '{{.Name}}')"
    equals active "$(swarm info --format '{{.Swarm.LocalNodeState}}')"
    expect 0 drunner obliterate --purge secretive
    equals "" "$(swarm ps --all --quiet)"
}
