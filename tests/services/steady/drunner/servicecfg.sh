VOLUMES=("/data" "/more")
EXTRACONTAINERS=()
