# A laptop whose traffic all goes through WireGuard, IPv4 and IPv6, as `wg-quick up wg0` makes it: the default is in
# a table of its own for what WireGuard has not marked; of main only what is no default counts before that.
# Source: wireguard-tools v1.0.20260223, src/wg-quick/linux.bash (add_addr, set_mtu_up, add_default).
. ./lib.sh
hardened strict
networkmanager_wifi
networkmanager_ra

tunnel wg0 wireguard
ip -4 address add 10.66.66.2/32 dev wg0
ip -6 address add fd42:42:42::2/128 dev wg0
ip link set mtu 1420 up dev wg0
for family in -6 -4; do
	ip $family rule add not fwmark 51820 table 51820
	ip $family rule add table main suppress_prefixlength 0
done
ip -6 route add ::/0 dev wg0 table 51820
ip -4 route add 0.0.0.0/0 dev wg0 table 51820
set_sysctl net.ipv4.conf.all.src_valid_mark 1
settled
