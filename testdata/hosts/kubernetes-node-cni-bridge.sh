# A node of Kubernetes with flannel's host-gw: pods are ports of the bridge cni0, and the blocks of addresses of the
# other nodes are routed to these, in the node's own network.
# Source: flannel v0.28.9, pkg/backend/hostgw/hostgw.go (by the netlink package of vishvananda: protocol boot);
# containernetworking/plugins v1.7, plugins/main/bridge (cni0, isGateway).
. ./lib.sh
hardened strict
uplink eth0
networkd_dhcp eth0 10.0.0.11/24 10.0.0.1 100
forwarding ipv4

bridge cni0 0a:58:0a:f4:00:01
ip address add 10.244.0.1/24 brd + dev cni0
for n in 1 2 3 4 5; do
	container veth0c5e1d0$n 0a:58:0a:f4:01:0$n cni0
done
wait_for_carrier cni0
for node in 1 2 3; do
	ip route add 10.244.$node.0/24 via 10.0.0.1$((node + 1)) dev eth0
done
settled
