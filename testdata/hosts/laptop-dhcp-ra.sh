# A laptop on Wi-Fi under NetworkManager: a DHCPv4 lease, and a router advertisement with a prefix.
# Source: NetworkManager 1.59.2, src/core/devices/nm-device.c (metrics of devices) and
# src/libnm-platform/nm-platform-utils.c (protocols dhcp, ra, kernel).
. ./lib.sh
hardened strict
networkmanager_wifi
networkmanager_ra
