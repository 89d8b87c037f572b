#!/bin/sh
# Fleet's post-install script: sees that the osqueryd of Fleet's agent will load what the package has
# installed, and has the agent restarted half a minute later. If it fails, Fleet uninstalls the package.
set -eu

extension=/usr/lib/osquery/extensions/kernel_routes.ext
"$extension" --version

# The package has put its path into both lists, unless somebody has taken it out since. orbit empties its own,
# /opt/orbit/extensions.load, wherever the server names no extensions, and osqueryd then reads osquery's.
/usr/lib/kernel-routes/register
grep -q "^[[:space:]]*$extension[[:space:]]*\$" /etc/osquery/extensions.load # osquery cuts off blanks

# Not at once, and not by a child: this script is orbit's, and would end with it, before Fleet knows how it went.
if command -v systemd-run >/dev/null; then
	systemd-run --on-active=30 systemctl restart orbit.service
else
	echo "no systemd-run: the extension is loaded when fleetd starts next"
fi
