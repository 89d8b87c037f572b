#!/bin/sh
# Fleet's uninstall script: removes the package, and what post-install.sh has added.
set -eu

extension=/usr/lib/osquery/extensions/kernel_routes.ext
if command -v dpkg-query >/dev/null && dpkg-query --show kernel-routes >/dev/null 2>&1; then
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 purge --yes kernel-routes
elif command -v rpm >/dev/null && rpm --query kernel-routes >/dev/null 2>&1; then
	rpm --erase kernel-routes
fi

for load in /etc/osquery/extensions.load /opt/orbit/extensions.load; do
	if grep -qxF "$extension" "$load" 2>/dev/null; then
		others=$(grep -vxF "$extension" "$load" || true)
		# Written in place, so that owner and rights stay.
		if [ -n "$others" ]; then echo "$others" >"$load"; else : >"$load"; fi
	fi
done

# osqueryd has the tables until it starts again.
if command -v systemd-run >/dev/null; then
	systemd-run --on-active=30 systemctl restart orbit.service
fi
