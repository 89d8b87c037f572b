# A laptop that sends all traffic to an exit node of Tailscale, but for its LAN (--exit-node-allow-lan-access). Table 52
# has a route to each peer and the default; what tailscaled itself sends is marked and passes it over.
# Source: Tailscale 1.103, ipn/ipnlocal/local.go (routerConfigLocked) and wgengine/router/osrouter/router_linux.go
# (baseIPRules with 5200 added, addRoute, addThrowRoute), by the netlink package of vishvananda: protocol boot, scope
# global.
. ./lib.sh
hardened loose
networkmanager_wifi
networkmanager_ra

tunnel tailscale0 tun
ip link set mtu 1280 dev tailscale0
ip address add 100.101.102.103/32 dev tailscale0
ip address add fd7a:115c:a1e0::4d01:6667/128 dev tailscale0
for family in -4 -6; do
	ip $family rule add priority 5210 fwmark 0x80000/0xff0000 table main
	ip $family rule add priority 5230 fwmark 0x80000/0xff0000 table default
	ip $family rule add priority 5250 fwmark 0x80000/0xff0000 type unreachable
	ip $family rule add priority 5270 table 52
done
for peer in 100.64.10.1 100.79.3.44 100.100.100.100 default; do
	ip route add $peer dev tailscale0 scope global table 52
done
ip route add throw 127.0.0.0/8 table 52
ip route add throw 192.168.1.0/24 table 52
for peer in fd7a:115c:a1e0::53 fd7a:115c:a1e0::/48 default; do
	ip -6 route add $peer dev tailscale0 table 52
done
ip -6 route add throw 2001:db8:1::/64 table 52
settled
