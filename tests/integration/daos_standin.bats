#!/usr/bin/env bats
# The stand-ins of tests/standins/daos do what their README.md says, and nothing that it does not.

load daos

AGENT=$ROOT/build/standin-daos-agent

# A directory that everybody may enter: other users call the agent, too.
setup() {
    bats_require_minimum_version 1.5.0
    DIRECTORY=$(mktemp -d "$WORLD/standin.XXXXXX")
    chmod 755 "$DIRECTORY"
    cp "$ROOT/build/standin-daos" "$DIRECTORY/daos"
    DAOS=$DIRECTORY/daos
    cd "$DIRECTORY" || return 1
    export DAOS_AGENT_DRPC_DIR=$PWD
}

teardown() {
    if [[ -n ${AGENT_PID-} ]]; then
        # unshare waits for its child, whatever it is told.
        kill "$(pgrep -P "$AGENT_PID" || echo "$AGENT_PID")" 2>/dev/null || true
        wait "$AGENT_PID" 2>/dev/null || true
    fi
    rm -rf "$DIRECTORY"
}

# A configuration, with more lines where they are given.
configuration() { # allow_insecure [LINES]
    cat <<YAML
name: daos_server
access_points: ['one', 'two']
port: 1001
runtime_dir: $PWD
transport_config:
  allow_insecure: $1
  ca_cert: $PWD/certs/daosCA.crt
  cert: $PWD/certs/agent.crt
  key: $PWD/certs/agent.key
${2-}
YAML
}

# As the first process of processes of its own where it is told so: then its child is what counts.
start_agent() { # [COMMAND...]
    "$@" "$AGENT" -o config.yml start 2>log 3>&- 4>&- &
    AGENT_PID=$!
    until_true 5 grep -q ready log
}

until_true() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    until "${@:2}"; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

# The agent does not start, and says this.
will_not_start() { # TEXT
    run -1 "$AGENT" -o config.yml
    [[ $output == *"$1"* ]] || {
        printf "'%s' is not in: %s\n" "$1" "$output"
        return 1
    }
}

@test "it tells who calls as the kernel does, and answers, refuses and fails as described" {
    configuration true >config.yml
    start_agent
    grep -q "insecure" log
    run -0 "$DAOS" standin whoami
    [[ $output =~ ^uid=0\(root\)\ gid=0\(root\)\ pid=[0-9]+\ signed=no$ ]]
    run -0 setpriv --reuid 4321 --regid 8765 --clear-groups "$DAOS" standin whoami
    [[ $output =~ ^uid=4321\(4321\)\ gid=8765\(8765\)\ pid= ]]
    run -0 "$DAOS" pool autotest p1
    [[ $output == *PASS* ]]
    run -0 "$DAOS" pool query p1
    run -5 "$DAOS" pool query nosuch1
    run -2 "$DAOS" pool destroy p1
    run -2 "$DAOS"
    run -0 "$DAOS" version
    [[ $output == *stand-in* ]]
    # What is no request is answered, what says nothing is let go, and neither ends the agent.
    run -0 bash -c 'printf "nonsense\n" | curl -s --max-time 5 --unix-socket daos_agent.sock telnet://agent'
    [[ $output == "error 2 "* ]]
    curl -s --max-time 5 --unix-socket daos_agent.sock telnet://agent </dev/null
    run -0 "$DAOS" pool autotest p1
    kill "$AGENT_PID"
    wait "$AGENT_PID"
    AGENT_PID=
    [[ ! -e daos_agent.sock ]]
    run -1 "$DAOS" pool autotest p1
    [[ $output == *"cannot connect to the agent"* ]]
}

@test "with certificates it signs, and it loads and verifies each of them" {
    daos_make_certificates
    configuration false >config.yml
    start_agent
    run -0 "$DAOS" standin whoami
    [[ $output == *" signed=yes" ]]
    kill "$AGENT_PID"
    wait "$AGENT_PID"
    AGENT_PID=
    # openssl writes a key for its owner alone.
    chmod 640 certs/agent.key
    will_not_start "can be read by others"
    chmod 600 certs/agent.key
    mv certs good
    daos_make_certificates
    cp good/agent.key certs/agent.key
    will_not_start "does not belong to"
    cp good/agent.crt certs/
    will_not_start "agent.crt is not good"
    cp good/daosCA.crt certs/
    openssl x509 -req -days -1 -in good/agent.csr -CA good/daosCA.crt -CAkey good/ca.key \
        -CAcreateserial -out certs/agent.crt 2>/dev/null
    will_not_start "expired"
    cp certs/agent.crt certs/agent.key
    will_not_start "holds no private key"
    rm certs/agent.key
    will_not_start "cannot read"
}

@test "its configuration is read strictly, and the interface that it names is taken" {
    configuration true $'fabric_ifaces:\n- numa_node: 1\n  devices:\n  - iface: lo\n    domain: lo0' >config.yml
    start_agent
    grep -q "takes the interface lo, domain lo0, numa node 1" log
    kill "$AGENT_PID"
    wait "$AGENT_PID"
    AGENT_PID=
    sed -i 's/iface: lo/iface: nosuch0/' config.yml
    will_not_start "there is no interface 'nosuch0'"
    configuration true "fabric: x" >config.yml
    will_not_start "line 10: 'fabric: x' is not known"
    configuration maybe >config.yml
    will_not_start "'maybe' is neither true nor false"
    configuration true | sed '/port/d' >config.yml
    will_not_start "names no access_points, or no port"
}

@test "handles go with their process, within 5 seconds, and with nobody else's word" {
    configuration true >config.yml
    start_agent
    "$DAOS" standin hold p1 >held 3>&- 4>&- &
    local holder=$!
    until_true 5 grep -q '^h[0-9]' held
    # Another process cannot let go of it.
    run -0 bash -c 'printf "disconnect %s\n" "$(cat held)" | curl -s --max-time 5 --unix-socket daos_agent.sock telnet://agent'
    [[ $output == "error 2 "* ]]
    kill -STOP "$holder"
    sleep 3.5
    run -1 grep evicted log
    kill -KILL "$holder"
    until_true 5 grep -q "evicted handle $(<held) of pool 'p1': process $holder is gone" log
    wait "$holder" || true
}

@test "a caller whose processes it cannot see has the pid 0, and is refused" {
    configuration true >config.yml
    start_agent unshare --pid --fork --kill-child --mount-proc
    run -1 "$DAOS" pool autotest p1
    [[ $output == *"pid 0"* ]]
    grep -q "refused a caller of uid 0" log
    # In its processes it is another matter.
    local inside
    inside=$(pgrep -P "$AGENT_PID")
    run -0 nsenter --target "$inside" --pid --mount env "DAOS_AGENT_DRPC_DIR=$PWD" "$DAOS" standin whoami
    [[ $output == *" signed=no" && $output != *"pid=0 "* ]]
}
