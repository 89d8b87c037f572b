# A workstation with libvirt and its network "default", in which no virtual machine runs: virbr0 has no carrier. libvirt
# turns forwarding on for it, and IPv6 off on the bridge.
# Source: libvirt 12.0, src/network/bridge_driver.c (networkEnableIPForwarding, networkSetIPv6Sysctls) and
# src/network/default.xml.in (192.168.122.0/24).
. ./lib.sh
hardened strict
uplink enp1s0
networkd_dhcp enp1s0 192.168.1.60/24 192.168.1.1 100
forwarding ipv4

ip link add virbr0 address 52:54:00:12:34:56 type bridge
set_sysctl net.ipv6.conf.virbr0.disable_ipv6 1
set_sysctl net.ipv6.conf.virbr0.accept_ra 0
set_sysctl net.ipv6.conf.virbr0.autoconf 0
ip address add 192.168.122.1/24 brd + dev virbr0
ip link set virbr0 up
settled
