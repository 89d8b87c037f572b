#!/bin/sh
# Fleet's uninstall script: removes the package, which takes its lines out of the lists of extensions.
set -eu

if command -v dpkg-query >/dev/null && dpkg-query --show kernel-routes >/dev/null 2>&1; then
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 purge --yes kernel-routes
elif command -v rpm >/dev/null && rpm --query kernel-routes >/dev/null 2>&1; then
	rpm --erase kernel-routes
fi

# osqueryd has the tables until it starts again.
if command -v systemd-run >/dev/null; then
	systemd-run --on-active=30 systemctl restart orbit.service
fi
