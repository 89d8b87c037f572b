# A laptop under systemd-networkd, with a cable: a DHCPv4 lease whose DNS server is behind the gateway (RoutesToDNS),
# and a router advertisement, whose default is by a nexthop object and which expires.
# Source: systemd 257, src/network/networkd-dhcp4.c and networkd-ndisc.c (ndisc_set_route_nexthop);
# systemd.network(5): RouteMetric= is 1024.
. ./lib.sh
hardened strict
uplink enp1s0
networkd_dhcp enp1s0 192.168.1.20/24 192.168.1.1 1024
ip route add 192.168.1.53 dev enp1s0 proto dhcp scope link src 192.168.1.20 metric 1024
ip route add 203.0.113.53 via 192.168.1.1 dev enp1s0 proto dhcp src 192.168.1.20 metric 1024

ip address add 2001:db8:1::ff:fe00:1/64 dev enp1s0 noprefixroute valid_lft 86400 preferred_lft 14400
ip -6 route add 2001:db8:1::/64 dev enp1s0 proto ra metric 1024 expires 86400
ip nexthop add id 214704473 via fe80::1 dev enp1s0 proto ra
ip -6 route add default nhid 214704473 proto ra metric 1024 expires 1800
settled
