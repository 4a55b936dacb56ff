#!/bin/sh
# Starts enginehouse in a container. The image's own environments are linked into the cache first: the cache is a
# volume, which hides what an image has there and outlives the image.
set -eu
for environment in /opt/engines/environments/*/; do
  if [ -e "${environment}.complete" ]; then
    mkdir -p "$ENGINEHOUSE_CACHE/environments"
    place=$ENGINEHOUSE_CACHE/environments/$(basename "$environment")
    [ -e "$place" ] || ln -sfn "${environment%/}" "$place"
  fi
done
exec enginehouse "$@"
