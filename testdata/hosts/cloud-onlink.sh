# A machine of Hetzner Cloud with a single address, of which the gateway is no neighbour: a route says that it is on
# the link, and so does the default. The metadata server is behind the gateway too. IPv6 is routed by the
# link-local address of the gateway.
# Source: Hetzner Docs in 2026, "Network configuration Debian / Ubuntu" (a /32, its gateway on-link, fe80::1), and
# "Static IP configuration" of cloud servers (172.31.1.1); systemd 257, systemd.network(5), GatewayOnLink=.
. ./lib.sh
hardened strict
uplink eth0
ip address add 203.0.113.77/32 dev eth0
ip route add 172.31.1.1 dev eth0 proto static scope link
ip route add default via 172.31.1.1 dev eth0 proto static onlink
ip route add 169.254.169.254 via 172.31.1.1 dev eth0 proto static onlink
ip address add 2001:db8:77::1/64 dev eth0
ip -6 route add default via fe80::1 dev eth0 proto static metric 1024 onlink
settled
