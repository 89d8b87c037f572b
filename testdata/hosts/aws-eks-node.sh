# A node of Amazon EKS with two network interfaces: pods have addresses of the VPC, a route on the link each, and those
# with an address of the second interface leave by it, by table 2.
# Source: amazon-vpc-cni-k8s v1.22, pkg/networkutils/network.go (priorities 1024, 32765, mark 0x80, setupENINetwork),
# cmd/routed-eni-cni-plugin/driver/driver.go (512, 1536); the metric 512 of Amazon Linux 2023 (amazon-ec2-net-utils).
. ./lib.sh
hardened loose
forwarding ipv4
uplink ens5 1
networkd_dhcp ens5 192.168.0.20/22 192.168.0.1 512
ip route add 192.168.0.2 dev ens5 proto dhcp scope link src 192.168.0.20 metric 512
uplink ens6 2
ip address add 192.168.0.80/22 brd + dev ens6 noprefixroute
ip route add 192.168.0.1 dev ens6 scope link table 2
ip route add default via 192.168.0.1 dev ens6 table 2
ip rule add priority 1024 fwmark 0x80/0x80 table main
ip rule add priority 32765 from 192.168.0.80 table 2

# pod N ADDRESS
pod() {
	container "eni5d0c3b2a10$1" "0a:58:c0:a8:00:0$1"
	ip route add "$2" dev "eni5d0c3b2a10$1" scope link
	ip rule add priority 512 to "$2" table main
}
pod 1 192.168.0.101
pod 2 192.168.0.102
pod 3 192.168.1.201
pod 4 192.168.1.202
ip rule add priority 1536 from 192.168.1.201 table 2
ip rule add priority 1536 from 192.168.1.202 table 2
settled
