VOLUMES=("/data")
