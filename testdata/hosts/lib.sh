# What the hosts of this folder share. Each host is run as root of a user namespace, in a
# network namespace of its own. OUTSIDE is the PID of a process in another one, where the
# other ends of cables are.

: "${OUTSIDE:?is the PID of a process in the network namespace for the other ends of cables}"

# fail says why a host cannot be made, and ends it.
fail() {
	echo "cannot make the host: $*" >&2
	exit 1
}

# set_sysctl NAME VALUE, with the name as sysctl(8) has it: there is no such program on small hosts.
set_sysctl() {
	value=$2
	fields=$IFS
	IFS=.
	set -- $1
	IFS=/
	file="/proc/sys/$*"
	IFS=$fields
	echo "$value" >"$file" || fail "set $file to $value"
}

# hardened strict|loose sets what chapter 3 of the CIS benchmarks (Distribution Independent Linux 2.0.0) asks
# of a host, for the devices that there are and those that will be made; strict or loose is how rp_filter judges,
# which with several ways out must be loose. All of the daemons here read router advertisements themselves:
# the kernel accepts none.
hardened() {
	case $1 in
	strict) rp_filter=1 ;;
	loose) rp_filter=2 ;;
	*) fail "rp_filter is strict or loose, not $1" ;;
	esac
	ip link set lo up
	set_sysctl net.ipv4.ip_forward 0 # before the rest: a change of it changes accept_redirects
	set_sysctl net.ipv6.conf.all.forwarding 0
	for conf in all default lo; do
		set_sysctl net.ipv4.conf.$conf.rp_filter $rp_filter
		set_sysctl net.ipv4.conf.$conf.log_martians 1
		for setting in accept_redirects secure_redirects send_redirects accept_source_route; do
			set_sysctl net.ipv4.conf.$conf.$setting 0
		done
		for setting in accept_redirects accept_source_route accept_ra; do
			set_sysctl net.ipv6.conf.$conf.$setting 0
		done
	done
	# Addresses can be used at once, without a second of looking for duplicates.
	set_sysctl net.ipv6.conf.default.accept_dad 0
}

# forwarding FAMILY... lets the host route packets of others, as those of containers, for ipv4 or ipv6 or both.
forwarding() {
	for family in "$@"; do
		set_sysctl "net.$family.conf.all.forwarding" 1
	done
}

# uplink NAME [N] is a network card with the address 02:00:00:00:00:0N and a cable that is plugged in.
uplink() {
	ip link add "$1" address "02:00:00:00:00:0${2:-1}" type veth peer name "cable${2:-1}"
	ip link set "cable${2:-1}" netns "$OUTSIDE" up
	ip link set "$1" up
	wait_for_carrier "$1"
}

# unplugged NAME [N] is a network card without carrier: the other end is down.
unplugged() {
	ip link add "$1" address "02:00:00:00:00:0${2:-1}" type veth peer name "cable${2:-1}"
	ip link set "cable${2:-1}" netns "$OUTSIDE"
	ip link set "$1" up
}

# wait_for_carrier NAME: until it may send, and has the route of multicast that the kernel makes for IPv6 then.
wait_for_carrier() {
	tries=0
	until case "$(ip link show dev "$1") $(ip -6 route show table local dev "$1")" in
		*LOWER_UP*ff00::/8*) true ;;
		*) false ;;
		esac do
		tries=$((tries + 1))
		[ $tries -lt 1000 ] || fail "$1 has no carrier"
	done
}

# settled is the end of a host: the kernel makes the local route of an IPv6 address a little after the address.
settled() {
	tries=0
	until [ "$(ip -6 -oneline address | count_lines)" = "$(ip -6 route show table local type local | count_lines)" ]; do
		tries=$((tries + 1))
		[ $tries -lt 1000 ] || fail "there are IPv6 addresses without a local route"
	done
}

# count_lines says how many lines there are.
count_lines() {
	lines=0
	while read -r line; do
		lines=$((lines + 1))
	done
	echo $lines
}

# tunnel NAME wireguard|tun is a tunnel's device, up: of this kind where the kernel and the user's rights allow it,
# of the other kind, or else a cable of that name. Behind a tun device there must be a program: until one opens it,
# it has no carrier. None has a link-local address, which would be another one each time.
tunnel() {
	if [ "$2" = wireguard ] && ip link add "$1" type wireguard 2>/dev/null; then
		:
	elif [ -w /dev/net/tun ] && ip tuntap add dev "$1" mode tun 2>/dev/null; then
		:
	elif ip link add "$1" type wireguard 2>/dev/null; then
		:
	else
		ip link add "$1" address 02:00:00:00:00:ff type veth peer name "far-$1"
		ip link set "far-$1" netns "$OUTSIDE" up
	fi
	ip link set "$1" addrgenmode none
	ip link set "$1" up
}

# bridge NAME MAC is a bridge, up: without carrier until it has a port.
bridge() {
	ip link add "$1" address "$2" type bridge
	ip link set "$1" up
}

# container NAME MAC [BRIDGE] is this end of a container's cable, up, and a port of the bridge.
containers=0
container() {
	containers=$((containers + 1))
	ip link add "$1" address "$2" type veth peer name "container$containers"
	ip link set "container$containers" netns "$OUTSIDE" up
	[ $# -lt 3 ] || ip link set "$1" master "$3"
	ip link set "$1" up
	wait_for_carrier "$1"
}

# networkd_dhcp DEVICE ADDRESS/LENGTH GATEWAY METRIC is what systemd-networkd makes of a DHCPv4 lease
# (systemd 257, src/network/networkd-dhcp4.c): the network with the metric, the gateway on the link, the default.
networkd_dhcp() {
	ip address add "$2" brd + dev "$1" metric "$4"
	ip route add "$3" dev "$1" proto dhcp scope link src "${2%/*}" metric "$4"
	ip route add default via "$3" dev "$1" proto dhcp src "${2%/*}" metric "$4"
}

# networkmanager_wifi is wlan0 with a DHCPv4 lease as NetworkManager sets it up (1.59.2, src/core/devices/nm-device.c:
# 600 is the metric of Wi-Fi). It makes the routes of addresses itself, the link-local one too.
networkmanager_wifi() {
	set_sysctl net.ipv6.conf.default.addr_gen_mode 1
	uplink wlan0
	set_sysctl net.ipv6.conf.default.addr_gen_mode 0
	ip address add fe80::7b1d:4f2c:99e3:5a10/64 dev wlan0 noprefixroute
	ip -6 route add fe80::/64 dev wlan0 proto kernel metric 1024
	ip address add 192.168.1.20/24 brd + dev wlan0 noprefixroute
	ip route add 192.168.1.0/24 dev wlan0 proto kernel scope link src 192.168.1.20 metric 600
	ip route add default via 192.168.1.1 dev wlan0 proto dhcp src 192.168.1.20 metric 600
}

# networkmanager_ra adds what NetworkManager makes of a router advertisement (1.59.2, src/core/ndisc): an address,
# one that is to be temporary (which only the kernel could mark so, with a number by chance), and the routes.
networkmanager_ra() {
	ip address add 2001:db8:1::7b1d:4f2c:99e3:5a10/64 dev wlan0 noprefixroute
	ip address add 2001:db8:1::5c02:d1e7:30aa:4417/64 dev wlan0 noprefixroute valid_lft 86400 preferred_lft 14400
	ip -6 route add 2001:db8:1::/64 dev wlan0 proto ra metric 600
	ip -6 route add default via fe80::1 dev wlan0 proto ra metric 600
}
