# A router with three transits under FRR: 200 routes of BGP in IPv4, each over all three, half of them by nexthop
# objects and half as a zebra without these makes them, 20 in IPv6, and a blackhole for the network that it announces.
# Source: FRR 10.8, zebra/rt_netlink.c (netlink_route_multipath_msg_encode: scope global, metric 20, zebra2proto:
# bgp 186, static 196), doc/user/zebra.rst (`zebra nexthop kernel enable`).
. ./lib.sh
hardened loose
forwarding ipv4 ipv6
ip address add 203.0.113.1/32 dev lo
for n in 1 2 3; do
	uplink eth$n $n
	ip address add 198.51.100.$((4 * n + 1))/30 brd + dev eth$n
	ip nexthop add id $((10 + n)) via 198.51.100.$((4 * n + 2)) dev eth$n proto zebra
	ip nexthop add id $((20 + n)) via fe80::ff dev eth$n proto zebra
done
ip nexthop add id 14 group 11/12/13 proto zebra
ip nexthop add id 24 group 21/22/23 proto zebra
ip nexthop add id 30 blackhole proto zebra

ip route add blackhole 203.0.113.0/24 nhid 30 proto 196 metric 20
ip route add default nhid 14 proto bgp metric 20
ip -6 route add default nhid 24 proto bgp metric 20
hops="nexthop via 198.51.100.6 dev eth1 nexthop via 198.51.100.10 dev eth2 nexthop via 198.51.100.14 dev eth3"
n=0
while [ $n -lt 100 ]; do
	echo "route add 10.10.$n.0/24 nhid 14 proto bgp metric 20"
	echo "route add 10.20.$n.0/24 proto bgp metric 20 $hops"
	[ $n -ge 20 ] || echo "route add 2001:db8:$n::/48 nhid 24 proto bgp metric 20"
	n=$((n + 1))
done | ip -batch -
settled
