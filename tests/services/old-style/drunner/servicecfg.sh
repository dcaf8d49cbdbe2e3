#!/bin/bash
VOLUMES=( "/config" )
EXTRACONTAINERS=()
