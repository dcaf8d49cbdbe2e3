#!/bin/bash
VOLUMES=("/secrets")
EXTRACONTAINERS=()
