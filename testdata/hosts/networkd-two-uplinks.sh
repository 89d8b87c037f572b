# A server with two providers under systemd-networkd: the defaults differ in their metric, and answers leave by
# the provider whose address was asked, by a rule and a table for each.
# Source: systemd 257, systemd.network(5), sections [Route] and [RoutingPolicyRule]; src/network/networkd-route.c and
# networkd-routing-policy-rule.c (protocol static; the kernel chooses the priority where none is set).
. ./lib.sh
hardened loose

# provider DEVICE N METRIC TABLE
provider() {
	uplink "$1" "$2"
	ip address add "192.0.2.$(($2 * 64 + 2))/26" brd + dev "$1"
	ip address add "2001:db8:$2::2/64" dev "$1"
	ip route add default via "192.0.2.$(($2 * 64 + 1))" dev "$1" proto static metric "$3"
	ip -6 route add default via fe80::1 dev "$1" proto static metric "$3"

	ip route add "192.0.2.$(($2 * 64))/26" dev "$1" proto static scope link table "$4"
	ip route add default via "192.0.2.$(($2 * 64 + 1))" dev "$1" proto static table "$4"
	ip -6 route add default via fe80::1 dev "$1" proto static table "$4"
	ip rule add from "192.0.2.$(($2 * 64 + 2))" table "$4" protocol static
	ip -6 rule add from "2001:db8:$2::2" table "$4" protocol static
}
provider eth0 1 100 101
provider eth1 2 200 102
settled
