# A machine of Azure: DHCP (option 121) gives host routes to the platform (168.63.129.16) and to the metadata server
# through the gateway of the network.
# Source: Microsoft Learn, "What is IP address 168.63.129.16?" and "Azure Instance Metadata Service";
# systemd 257, src/network/networkd-dhcp4.c, with the metric 100 of netplan (Ubuntu's image).
. ./lib.sh
hardened strict
uplink eth0
networkd_dhcp eth0 10.1.0.4/24 10.1.0.1 100
ip route add 168.63.129.16 via 10.1.0.1 dev eth0 proto dhcp src 10.1.0.4 metric 100
ip route add 169.254.169.254 via 10.1.0.1 dev eth0 proto dhcp src 10.1.0.4 metric 100
settled
