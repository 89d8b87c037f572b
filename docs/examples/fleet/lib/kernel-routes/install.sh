#!/bin/sh
# Fleet's install script: installs the package that fleetd has downloaded.
set -eu

package=${INSTALLER_PATH:?is set by fleetd to the path of the package}
[ -f "$package" ] || {
	echo "no package at $package" >&2
	exit 1
}
case $package in
*.deb)
	# Another dpkg may be at work: unattended upgrades.
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install --yes --allow-downgrades "$package"
	;;
*.rpm)
	for tool in dnf yum; do
		if command -v "$tool" >/dev/null; then
			exec "$tool" install --assumeyes "$package"
		fi
	done
	if command -v zypper >/dev/null; then
		exec zypper --non-interactive install --allow-unsigned-rpm "$package"
	fi
	exec rpm --upgrade --replacepkgs "$package"
	;;
*)
	echo "$package is neither a .deb nor a .rpm" >&2
	exit 1
	;;
esac
