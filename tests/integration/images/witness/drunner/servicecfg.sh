# The witness of the integration tests.
VOLUMES=("/one" "/two")
EXTRACONTAINERS=()
