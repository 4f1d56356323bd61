#!/bin/sh
# Starts one process after the other, each living 5 to 50 ms. Usage: shell.sh SECONDS SHORT
end=$(($(date +%s) + $1))
echo ready
while [ "$(date +%s)" -lt "$end" ]; do
	for milliseconds in 5 10 20 50; do
		"$2" "$milliseconds"
	done
done
