VOLUMES=("/data")
EXTRACONTAINERS=("helloworld")
