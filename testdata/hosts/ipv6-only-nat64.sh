# A machine in a network without IPv4, under systemd-networkd: router advertisements give the prefix, the default, and
# (route information) the way to NAT64's prefix by the router that translates.
# Source: RFC 6052 (64:ff9b::/96), RFC 4191 (route information); systemd 257, src/network/networkd-ndisc.c
# (UseRoutePrefix=, ndisc_set_route_nexthop).
. ./lib.sh
hardened strict
uplink eth0
ip address add 2001:db8:64::ff:fe00:1/64 dev eth0 noprefixroute valid_lft 86400 preferred_lft 14400
ip -6 route add 2001:db8:64::/64 dev eth0 proto ra metric 1024 expires 86400
ip nexthop add id 3025548617 via fe80::1 dev eth0 proto ra
ip -6 route add default nhid 3025548617 proto ra metric 1024 expires 1800
ip nexthop add id 1170241043 via fe80::64 dev eth0 proto ra
ip -6 route add 64:ff9b::/96 nhid 1170241043 proto ra metric 1024 expires 1800
settled
