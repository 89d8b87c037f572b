# A node of Kubernetes with Calico and no overlay: a host route to each of 50 pods, a blackhole for what of the node's
# block of addresses is no pod, and the blocks of other nodes by BGP.
# Source: Calico v3.34.0-dev, felix/dataplane/linux/endpoint_mgr.go (configureProcSysForInterface),
# felix/config/config_params.go (DeviceRouteProtocol 3, boot), and of the folder node/filesystem/etc/calico/confd
# templates/bird_aggr.cfg.template (the blackhole, which BIRD hands to the kernel).
. ./lib.sh
hardened strict
uplink eth0
networkd_dhcp eth0 10.0.0.11/24 10.0.0.1 100
forwarding ipv4

ip route add blackhole 10.65.1.0/26 proto bird
for node in 2 3 4; do
	ip route add 10.65.$node.0/26 via 10.0.0.1$node dev eth0 proto bird
done

# pod N is the name of the pod's device, of which Calico makes the digits from the pod's name.
pod() {
	printf 'cali%011x' $(($1 * 7310427915613 % 17592186044416))
}
n=0
while [ $n -lt 50 ]; do
	n=$((n + 1))
	name=$(pod $n)
	echo "link add $name address ee:ee:ee:ee:ee:ee type veth peer name pod$n"
	echo "link set pod$n netns $OUTSIDE up"
	echo "link set $name up"
	echo "route add 10.65.1.$n dev $name scope link"
done | ip -batch -
while [ $n -lt 50 ]; do
	n=$((n + 1))
	name=$(pod $n)
	wait_for_carrier "$name"
	set_sysctl net.ipv4.conf.$name.route_localnet 1
	set_sysctl net.ipv4.conf.$name.proxy_arp 1
	set_sysctl net.ipv4.conf.$name.forwarding 1
done
settled
