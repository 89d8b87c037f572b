. ./lib.sh
ip link set lo up
uplink wlan0
uplink wg0
ip addr add 192.168.1.50/24 dev wlan0
ip route add default via 192.168.1.1 dev wlan0 proto dhcp metric 600
ip addr add 10.8.0.2/32 dev wg0
ip route add 0.0.0.0/0 dev wg0 table 51820
ip rule add not fwmark 51820 table 51820
ip rule add table main suppress_prefixlength 0
