. ./lib.sh
ip link set lo up
uplink wlan0
uplink tun0
ip addr add 192.168.1.50/24 dev wlan0
ip route add default via 192.168.1.1 dev wlan0 proto dhcp metric 600
ip addr add 10.8.0.2/24 dev tun0
ip route add 203.0.113.5 via 192.168.1.1 dev wlan0
ip route add 0.0.0.0/1 via 10.8.0.1 dev tun0
ip route add 128.0.0.0/1 via 10.8.0.1 dev tun0
