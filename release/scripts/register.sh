#!/bin/sh
# Tells osqueryd and Fleet's agent (orbit) of the extension: adds the line
#
#	/usr/lib/osquery/extensions/kernel_routes.ext
#
# to /etc/osquery/extensions.load where osquery is, and to /opt/orbit/extensions.load where Fleet's agent is,
# and takes it out again. It is installed as /usr/lib/kernel-routes/register, for administrators
#
#	/usr/lib/kernel-routes/register           add the line, e.g. where osquery was installed after this package
#	/usr/lib/kernel-routes/register remove    take it out; the package stays, and does not put it back
#
# and for the package's scripts, which are few lines each because all is here. What they do:
#
#	installed    Each of the two lists gets the line once: /var/lib/kernel-routes remembers where it was added
#	             and is not added again, so that an upgrade leaves a list as the administrator has made it. A
#	             list that comes later, with osquery, gets the line when dpkg tells of it (a trigger), or else
#	             with the next upgrade.
#	removing     The line is taken out, all else stays as it is, to the byte. A list that only came to be by
#	             the line goes with it.
#
# Settings, from the environment or else as lines of /etc/default/kernel-routes (which is read, not run):
#
#	KERNEL_ROUTES_RESTART=1     restart osqueryd, and orbit a minute later, where they run and the list or the
#	                            extension has changed. Otherwise this only says how to.
#	KERNEL_ROUTES_REGISTER=0    leave both lists alone: they are managed by other means
#
# Exit status: 1 if a list that should have the line could not be written; it is then as it was. With that
# status dpkg leaves the package unconfigured and tries again with the next `dpkg --configure -a`, apk does with
# `apk fix`, and rpm warns. Where the line cannot be taken out this says so and exits with 0, for otherwise the
# package could not be removed from a machine whose disk is full; a line for a missing file does no harm.

extension=/usr/lib/osquery/extensions/kernel_routes.ext
again=/usr/lib/kernel-routes/register

# dpkg sets DPKG_ROOT where it does not change the root directory for scripts (--force-script-chrootless).
root=${DPKG_ROOT:-}
[ "$root" != / ] || root=
state=$root/var/lib/kernel-routes

# Text is bytes, as for osquery: blanks are those of C's isspace. Package managers may have a PATH without sbin.
LC_ALL=C
PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
umask 022

temporary=
trap 'rm -f ${temporary:+"$temporary"}' EXIT
trap 'exit 1' HUP INT TERM

say() { printf 'kernel-routes: %s\n' "$*"; }
warn() { printf 'kernel-routes: %s\n' "$*" >&2; }

# setting NAME prints the value that the administrator has given it.
setting() {
	eval "value=\${$1:-}"
	if [ -z "$value" ] && [ -r "$root/etc/default/kernel-routes" ]; then
		value=$(sed -n "s/^[[:space:]]*$1=[[:space:]]*//p" "$root/etc/default/kernel-routes" | tail -n 1 |
			sed -e 's/[[:space:]]*$//' -e 's/^"\(.*\)"$/\1/' -e "s/^'\\(.*\\)'\$/\\1/")
	fi
	printf '%s\n' "$value"
}

# is_on NAME DEFAULT reports whether a setting is on.
is_on() {
	on=$(setting "$1")
	case ${on:-$2} in
	1 | [Yy][Ee][Ss] | [Tt][Rr][Uu][Ee] | [Oo][Nn]) return 0 ;;
	0 | [Nn][Oo] | [Ff][Aa][Ll][Ss][Ee] | [Oo][Ff][Ff]) return 1 ;;
	esac
	warn "$1 is to be 1 or 0, not \"$on\": taken as $2"
	[ "$2" = 1 ]
}

# ---- Lists ----

# folder_of WHO prints the folder of its list.
folder_of() {
	case $1 in
	osquery) echo "$root/etc/osquery" ;;
	orbit) echo "$root/opt/orbit" ;;
	esac
}

# is_there WHO: osquery without its folder is one that was unpacked or linked by hand, or orbit's own. Orbit empties
# its list where Fleet's server names no extensions, and then has osqueryd read that of osquery; of two lists it
# reads one, so that the line may be in both.
is_there() {
	[ ! -d "$(folder_of "$1")" ] || return 0
	[ "$1" = osquery ] || return 1
	[ ! -x "$root/opt/osquery/bin/osqueryd" ] || return 0
	[ ! -e "$root/opt/orbit/bin/osqueryd" ] || return 0
	[ -z "$root" ] && command -v osqueryd >/dev/null 2>&1
}

# target FILE prints the file that a link leads to, at the end, whether it exists or not.
target() {
	file=$1 links=0
	while [ -h "$file" ]; do
		links=$((links + 1))
		[ $links -le 40 ] || { warn "$1 is a link that leads to itself"; return 1; }
		link=$(readlink "$file") || return 1
		case $link in
		/*) file=$root$link ;;
		*) file=${file%/*}/$link ;;
		esac
	done
	printf '%s\n' "$file"
}

# A line is ours with blanks around it as well, which osquery takes off.
ours="^[[:space:]]*$(printf '%s\n' "$extension" | sed 's/\./\\./g')[[:space:]]*\$"

has_line() { [ -f "$1" ] && grep -q -e "$ours" "$1"; }

has_listed() { has_line "$(target "$(folder_of "$1")/extensions.load" 2>/dev/null)"; }

# is_open FILE: its last line has no end.
is_open() { [ -s "$1" ] && [ "$(tail -c 1 "$1" | wc -l)" -eq 0 ]; }

size_of() { if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi; }

# with_line FILE prints what a list is to have.
# shellcheck disable=SC2317 # rewrite calls it
with_line() {
	[ ! -f "$1" ] || cat "$1" || return 1
	! is_open "$1" || echo
	printf '%s\n' "$extension"
}

# without_line FILE prints a list without our lines. The end of the line before, where it had none before ours
# came (its list had $open bytes then), goes too.
# shellcheck disable=SC2317 # rewrite calls it
without_line() {
	rest=$(sed -e "\\|$ours|d" "$1" | wc -c)
	if [ "$rest" -eq "$((open + 1))" ] && tail -n 1 "$1" | grep -q -e "$ours"; then
		sed -e "\\|$ours|d" "$1" | head -c "$open"
	else
		sed -e "\\|$ours|d" "$1"
	fi
}

# rewrite FILE COMMAND puts what the command prints for the file in its place: at once or not at all.
rewrite() {
	file=$1
	if [ -e "$file" ] && [ ! -f "$file" ]; then
		warn "$file is not a file"
		return 1
	fi
	size=$("$2" "$file" | wc -c)
	temporary=$(mktemp "${file%/*}/.extensions.load.XXXXXX") || { temporary=; return 1; }
	if
		if [ -f "$file" ]; then
			cp -a "$file" "$temporary" # owner, mode, label
		else
			chmod 0644 "$temporary"
		fi &&
			"$2" "$file" >"$temporary" && [ "$(size_of "$temporary")" -eq "$size" ]
	then
		sync "$temporary" 2>/dev/null || : # not every sync knows files; the disk then has its time
		if mv -f "$temporary" "$file"; then
			temporary=
			return 0
		fi
	fi
	rm -f "$temporary"
	temporary=
	return 1
}

# others LIST prints the first of its lines by which osquery loads an extension of this name from elsewhere: of two
# it would load the one that is quicker, and start the other one every few seconds.
others() {
	[ -f "$1" ] || return 0
	sed -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//' "$1" | while IFS= read -r entry || [ "$entry" ]; do
		case $entry in
		"$extension") ;;
		*/kernel_routes.ext) [ ! -f "$root$entry" ] || printf '%s\n' "$entry" ;;
		esac
	done | head -n 1
}

# add WHO adds the line to a list, unless it has it. What to remember comes first, so that nothing is done that
# is not remembered.
add() {
	folder=$(folder_of "$1")
	list=$folder/extensions.load
	file=$(target "$list") || file=
	if has_line "$file"; then
		# Should that fail, the line is there nevertheless.
		[ -e "$state/$1" ] || remember "$1" found 2>/dev/null || :
		return 0
	fi
	other=$(others "$file")
	if [ "$other" ]; then
		warn "$list has the line $other already, and osquery loads no two extensions of one name:"
		warn "take that line out, then run $again; until then it is $other that is loaded"
		return 0
	fi
	how=added
	! is_open "$file" || how="open $(size_of "$file")"
	[ -e "$file" ] || how=made
	[ -d "$folder" ] || how=folder
	if [ "$file" ] && remember "$1" "$how" && { [ -d "$folder" ] || mkdir "$folder"; } &&
		rewrite "$file" with_line; then
		say "added to $list"
		changed="$changed $1"
		return 0
	fi
	forget "$1"
	warn "cannot add the extension to $list (why is said above), which is as it was:"
	warn "have its folder writable and with room, then run $again; or set KERNEL_ROUTES_REGISTER=0 in"
	warn "/etc/default/kernel-routes, if the list is managed by other means. The line to add is $extension"
	return 1
}

# take_out WHO takes the line out of a list, and removes the list if that alone made it.
take_out() {
	folder=$(folder_of "$1")
	list=$folder/extensions.load
	file=$(target "$list" 2>/dev/null)
	how='' open=''
	[ ! -f "$state/$1" ] || read -r how open <"$state/$1" || :
	open=${open:--2}
	if ! has_line "$file"; then
		: # somebody else has taken it out: orbit empties its list where the server names no extensions
	elif rewrite "$file" without_line; then
		say "taken out of $list"
		changed="$changed $1"
	else
		warn "cannot take the line $extension out of $list (why is said above), which is as it was:"
		warn "take it out by hand; till then osquery does no more than warn of a missing file"
		return 0
	fi
	case $how in
	made | folder) [ ! -f "$file" ] || [ -s "$file" ] || rm -f "$file" ;;
	esac
	[ "$how" != folder ] || rmdir "$folder" 2>/dev/null || :
}

# remember WHO HOW notes that a list has had the line, and how it came there: found, added, open (to a last line
# without an end, SIZE), made (with the list), folder (with list and folder).
remember() {
	mkdir -p "$state" && printf '%s\n' "$2" >"$state/$1.new" && [ -s "$state/$1.new" ] &&
		mv -f "$state/$1.new" "$state/$1" && return 0
	rm -f "$state/$1.new"
	return 1
}

forget() {
	rm -f "$state/$1"
	rmdir "$state" 2>/dev/null || :
}

# ---- Services ----

has_systemd() { [ -z "$root" ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; }
has_openrc() { [ -z "$root" ] && [ -e /run/openrc/softlevel ] && command -v rc-service >/dev/null 2>&1; }
has_process() { [ -z "$root" ] && grep -qsx -e "$1" /proc/[0-9]*/comm; }

# manager_of SERVICE prints who runs a service that is running, "none" if it is somebody else.
manager_of() {
	if has_systemd && systemctl is-active --quiet "$1.service" 2>/dev/null; then
		echo systemd
	elif has_openrc && rc-service "$1" status >/dev/null 2>&1; then
		echo openrc
	elif has_process "$1"; then
		echo none
	else
		return 1
	fi
}

# is_forbidden SERVICE: Debian's way to have nothing started while an image is built.
is_forbidden() {
	[ -x /usr/sbin/policy-rc.d ] || return 1
	/usr/sbin/policy-rc.d "$1" restart >/dev/null 2>&1
	[ $? -eq 101 ]
}

# is_running SERVICE: an osqueryd beside orbit that no service runs is orbit's own.
is_running() {
	manager=$(manager_of "$1") || return 1
	[ "$1" = orbit ] || [ "$manager" != none ] || ! has_process orbit
}

# restart WHO WHAT restarts what reads a list where it is running, or says how to, and WHAT for: once, though orbit
# reads either.
restart() {
	for service in osqueryd orbit; do
		case $1,$service in orbit,osqueryd) continue ;; esac
		case " $told " in *" $service "*) continue ;; esac
		is_running $service || continue
		told="$told $service"
		restart_service "$2"
	done
}

# restart_service WHAT does so with $service, which $manager runs.
restart_service() {
	case $manager in
	systemd) how="systemctl restart $service" ;;
	openrc) how="rc-service $service restart" ;;
	*) how="stop it, and start it as it was started" ;;
	esac
	if ! is_on KERNEL_ROUTES_RESTART 0; then
		say "$service is running; to $1, restart it: $how"
		[ "$manager" = none ] || say "(KERNEL_ROUTES_RESTART=1 in /etc/default/kernel-routes has packages do that)"
	elif is_forbidden $service; then
		say "$service is not restarted, as policy-rc.d says; to $1, restart it: $how"
	elif [ $service = orbit ]; then
		# It may be orbit that installs this: what it has started would end with it.
		if [ "$manager" = systemd ] && command -v systemd-run >/dev/null 2>&1 &&
			systemd-run --quiet --on-active=60 --working-directory=/ systemctl try-restart orbit.service; then
			say "orbit will be restarted in a minute, to $1"
		else
			warn "orbit cannot be restarted from here; to $1, restart it: $how"
		fi
	elif case $manager in
		systemd) systemctl try-restart osqueryd.service ;;
		openrc) rc-service osqueryd restart ;;
		*) false ;;
		esac then
		say "osqueryd has been restarted"
	else
		warn "osqueryd could not be restarted; to $1, restart it: $how"
	fi
}

# ---- Jobs ----

changed='' # those whose list was written
told=''    # services that were restarted, or whose restart was told of
failed=0

# installed [upgrade | later] is what a package's installation does, and dpkg's trigger later.
installed() {
	some=''
	is_on KERNEL_ROUTES_REGISTER 1 && register=1 || register=
	for who in osquery orbit; do
		if ! is_there $who; then
			forget $who # if it comes again, so does the line
			continue
		fi
		some=1
		[ -z "$register" ] || [ -e "$state/$who" ] || add $who || failed=1
		case "${1:-} $changed " in
		*" $who "* | " "*) has_listed $who && restart $who "load the extension" ;;
		upgrade*)
			has_listed $who && restart $who "run this version"
			;;
		esac
	done
	[ "$some" ] || [ "${1:-}" ] ||
		say "there is neither osquery nor Fleet's agent: when there is, run $again"
}

# added is what an administrator asks for.
added() {
	some=''
	for who in osquery orbit; do
		is_there $who || continue
		some=1
		if has_listed $who; then
			say "is in $(folder_of $who)/extensions.load already"
		fi
		add $who || failed=1
	done
	[ "$some" ] || { warn "there is neither osquery (/etc/osquery) nor Fleet's agent (/opt/orbit)"; failed=1; }
	for who in $changed; do
		restart "$who" "load the extension"
	done
}

# removed [package] takes the line out; with the package what is remembered goes too.
removed() {
	register=1
	[ -z "${1:-}" ] || is_on KERNEL_ROUTES_REGISTER 1 || register=
	for who in osquery orbit; do
		[ -z "$register" ] || take_out $who
		[ -z "${1:-}" ] || forget $who
	done
	for who in $changed; do
		restart "$who" "end the extension"
	done
}

if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
	warn "only root can do this"
	exit 1
fi
case ${1:-} in
'' | add) added ;;
remove) removed ;;
installed) installed "${2:-}" ;;
removing) removed package ;;
*)
	warn "\"$1\" means nothing: run $again to add the extension to osquery's lists, $again remove to take it out"
	exit 1
	;;
esac
exit $failed
