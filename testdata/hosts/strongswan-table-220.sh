# A road warrior of strongSwan with a virtual address: table 220, consulted before main, gives all traffic that address
# by the ordinary gateway, and IPsec policies encrypt what has it. No device is a tunnel. The LAN is excepted by the
# plugin bypass-lan. The rule is there for IPv6 as well, the table is not.
# Source: strongSwan 6.0.6, src/libcharon/plugins/kernel_netlink/kernel_netlink_net.c (manage_srcroute, manage_rule),
# conf/options/charon.opt (routing_table, install_virtual_ip).
. ./lib.sh
hardened loose
uplink eth0
networkd_dhcp eth0 192.168.1.30/24 192.168.1.1 1024

ip -4 rule add priority 220 table 220
ip -6 rule add priority 220 table 220
ip address add 10.10.10.1/32 dev eth0
ip route add throw 192.168.1.0/24 proto static table 220
ip route add default via 192.168.1.1 dev eth0 proto static src 10.10.10.1 table 220
settled
