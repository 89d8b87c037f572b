# A laptop with a VPN of NetworkManager that takes all traffic by its metric, 50, against 600 of Wi-Fi. NetworkManager
# adds routes to the VPN's server and to the gateway on the way to it. The network has no IPv6.
# Source: NetworkManager 1.59.2, src/core/vpn/nm-vpn-connection.c (_parent_device_l3cd_add_gateway_route),
# src/core/nm-core-utils.h (NM_VPN_ROUTE_METRIC_DEFAULT).
. ./lib.sh
hardened strict
networkmanager_wifi
ip route add 198.51.100.7 via 192.168.1.1 dev wlan0 proto static metric 600
ip route add 192.168.1.1 dev wlan0 proto static scope link metric 600

tunnel tun0 tun
ip address add 10.9.0.6/24 brd + dev tun0 noprefixroute
ip route add 10.9.0.0/24 dev tun0 proto kernel scope link src 10.9.0.6 metric 50
ip route add default dev tun0 proto static scope link metric 50
settled
