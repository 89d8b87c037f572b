#!/bin/sh
# Fleet's post-install script: sees that the osqueryd of Fleet's agent will load what the package has
# installed, and has the agent restarted half a minute later. If it fails, Fleet uninstalls the package.
set -eu

extension=/usr/lib/osquery/extensions/kernel_routes.ext
"$extension" --version

# The package has put its path into /opt/orbit/extensions.load. orbit empties that file wherever the server
# names no extensions of its own, and starts osqueryd with osquery's default, which is this one:
load=/etc/osquery/extensions.load
mkdir -p /etc/osquery
if ! grep -qxF "$extension" "$load" 2>/dev/null; then
	# What somebody has written without an end of line stays a line of its own.
	[ ! -s "$load" ] || [ -z "$(tail -c 1 "$load")" ] || echo >>"$load"
	echo "$extension" >>"$load"
fi

# Not at once, and not by a child: this script is orbit's, and would end with it, before Fleet knows how it went.
if command -v systemd-run >/dev/null; then
	systemd-run --on-active=30 systemctl restart orbit.service
else
	echo "no systemd-run: the extension is loaded when fleetd starts next"
fi
