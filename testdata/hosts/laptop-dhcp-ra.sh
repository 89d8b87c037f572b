# A laptop on Wi-Fi under NetworkManager: a DHCPv4 lease, and a router advertisement with a prefix. No cable is plugged
# into its network card.
# Source: NetworkManager 1.59.2, src/core/devices/nm-device.c (metrics of devices) and
# src/libnm-platform/nm-platform-utils.c (protocols dhcp, ra, kernel).
. ./lib.sh
hardened strict
unplugged enp0s31f6 2
networkmanager_wifi
networkmanager_ra
settled
