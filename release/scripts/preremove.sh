#!/bin/sh
# Before the files go, while /usr/lib/kernel-routes/register is there. dpkg calls this with a word, rpm with how
# many of the package stay (of an upgrade's two this is the old one's, called after the new one's installation),
# apk with the version, and not on an upgrade.
set -e
case ${1:-} in
upgrade | failed-upgrade | deconfigure | 1) exit 0 ;;
esac
register=${DPKG_ROOT:-}/usr/lib/kernel-routes/register
[ ! -x "$register" ] || "$register" removing
