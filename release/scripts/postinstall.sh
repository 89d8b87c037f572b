#!/bin/sh
# After the files are there. dpkg calls this with a word, rpm with how many of the package are installed, apk
# with the version, and the one before on an upgrade. All that is done is in /usr/lib/kernel-routes/register.
set -e
register=${DPKG_ROOT:-}/usr/lib/kernel-routes/register
case ${1:-} in
configure) "$register" installed ${2:+upgrade} ;;
triggered) "$register" installed later || : ;; # what came is osquery, which is not to blame
abort-remove) "$register" installed later ;; # the line was taken out before the removal failed
abort-*) ;;                                  # nothing was done
1) "$register" installed ;;
2) "$register" installed upgrade ;;
*) "$register" installed ${2:+upgrade} ;;
esac
