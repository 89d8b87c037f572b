# A machine of Google Cloud with a single address: DHCP (option 121) gives the gateway on the link, the default and
# a host route to the metadata server.
# Source: Google Cloud documentation, "Routes" and "About VM metadata"; systemd 257, src/network/networkd-dhcp4.c,
# with the metric 100 of netplan (Ubuntu's image).
. ./lib.sh
hardened strict
uplink ens4
networkd_dhcp ens4 10.128.0.2/32 10.128.0.1 100
ip route add 169.254.169.254 via 10.128.0.1 dev ens4 proto dhcp src 10.128.0.2 metric 100
settled
