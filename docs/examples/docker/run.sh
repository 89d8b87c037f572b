#!/bin/sh
# Runs the image of the Dockerfile beside this file such that it sees the host's routes, and those
# of its network namespaces.
set -eu

exec docker run --detach --name osqueryd --restart unless-stopped \
	--network host --pid host \
	--cap-drop ALL --cap-add SYS_ADMIN --cap-add SYS_PTRACE --cap-add DAC_READ_SEARCH \
	--security-opt apparmor=unconfined \
	--memory 1g \
	--mount type=bind,source=/run/netns,target=/run/netns,readonly,bind-propagation=rslave \
	--mount type=volume,source=osquery,target=/var/osquery \
	--mount type=volume,source=osquery-log,target=/var/log/osquery \
	"${1:-osquery-kernel-routes}"
