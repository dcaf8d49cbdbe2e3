VOLUMES=("../x")
