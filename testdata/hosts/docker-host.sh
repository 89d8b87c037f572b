# A host with Docker: docker0, on which no container is, without carrier, and a network of the user's with two.
# Source: moby 28, libnetwork/drivers/bridge/setup_ipv4_linux.go and setup_ip_forwarding.go; the default address pools
# of daemon/libnetwork/ipamutils (172.17.0.0/16, 172.18.0.0/16).
. ./lib.sh
hardened strict
uplink eth0
networkd_dhcp eth0 192.168.1.40/24 192.168.1.1 100
forwarding ipv4

bridge docker0 02:42:8f:10:00:01
ip address add 172.17.0.1/16 brd + dev docker0
bridge br-3c9f1d7ab210 02:42:8f:10:00:02
ip address add 172.18.0.1/16 brd + dev br-3c9f1d7ab210
container veth1a2b3c4 02:42:8f:10:00:03 br-3c9f1d7ab210
container veth5d6e7f8 02:42:8f:10:00:04 br-3c9f1d7ab210
wait_for_carrier br-3c9f1d7ab210
settled
