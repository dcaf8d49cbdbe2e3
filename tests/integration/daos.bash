# shellcheck shell=bash
# The images of services/daos-client on the stand-ins of tests/standins/daos, and certificates.

DAOS_ARGUMENTS=(DAOS_CLIENT_UNAME=foo DAOS_CLIENT_UID=666 DAOS_CLIENT_GNAME=bar DAOS_CLIENT_GID=999
    "DAOS_ACCESS_POINTS=['one', 'two']")

# From setup_file: daos-client, and daos-agent:1, which it names.
daos_build_images() {
    DOCKER=$DOCKER "$ROOT/scripts/base-image" --with "$ROOT/build/standin-daos=daos" \
        "$BASE_IMAGE-daos" >/dev/null
    DOCKER=$DOCKER "$ROOT/scripts/base-image" --with "$ROOT/build/standin-daos-agent=daos_agent" \
        --with setpriv "$BASE_IMAGE-daos-agent" >/dev/null
    daos_build daos-client Dockerfile "$BASE_IMAGE-daos" "${DAOS_ARGUMENTS[@]}"
    daos_build daos-agent:1 Dockerfile.agent "$BASE_IMAGE-daos-agent" "${DAOS_ARGUMENTS[@]}"
}

daos_build() { # TAG DOCKERFILE BASE-IMAGE NAME=VALUE...
    local argument arguments=()
    for argument in "${@:4}"; do arguments+=(--build-arg "$argument"); done
    DOCKER_BUILDKIT=0 "$DOCKER" build --quiet --force-rm --tag "$1" --build-arg "BASE_IMAGE=$3" \
        "${arguments[@]}" --file "$ROOT/services/daos-client/$2" "$ROOT/services/daos-client" >/dev/null
}

# A CA, a key and the certificate that the CA signed for it, in certs/ and packed in certs.txz.
daos_make_certificates() {
    mkdir -p certs
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=daos-ca -keyout certs/ca.key \
        -out certs/daosCA.crt 2>/dev/null
    openssl req -newkey rsa:2048 -nodes -subj /CN=agent -keyout certs/agent.key -out certs/agent.csr \
        2>/dev/null
    openssl x509 -req -days 2 -in certs/agent.csr -CA certs/daosCA.crt -CAkey certs/ca.key \
        -CAcreateserial -out certs/agent.crt 2>/dev/null
    tar -C certs -cJf certs.txz daosCA.crt agent.crt agent.key
}

# What the smallest working service needs to be told.
daos_configure() { # SERVICE [NAME=VALUE...]
    expect 0 drunner configure "$1" "${DAOS_ARGUMENTS[@]}" "${@:2}"
}
