# A laptop with OpenVPN and `redirect-gateway def1`: two halves of a default on tun0 stand before the default of DHCP,
# which stays, and the server is reached by the gateway of the LAN. The network has no IPv6.
# Source: OpenVPN 2.7, src/openvpn/route.c (redirect_default_route_to_vpn) and networking_sitnl.c (sitnl_route_add:
# protocol boot, no metric).
. ./lib.sh
hardened strict
networkmanager_wifi

tunnel tun0 tun
ip address add 10.8.0.2/24 brd + dev tun0
ip route add 198.51.100.7/32 via 192.168.1.1
ip route add 0.0.0.0/1 via 10.8.0.1 dev tun0
ip route add 128.0.0.0/1 via 10.8.0.1 dev tun0
settled
