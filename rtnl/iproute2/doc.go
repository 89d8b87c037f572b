// Package iproute2 writes what RTNetlink tells as iproute2 does.
//
//	names.go       Names: what tables, protocols, scopes and realms are called
//	names_file.go  the syntax of the files in /etc/iproute2
//	names_host*.go HostNames: the names that hold on this host, read again when they change
//	names_text.go  all names as text, to be kept with what was read
//	encap.go       AppendEncap: tunnels in the words of `ip -d route`
//	flags.go       AppendFlags, AppendMetrics, AppendFeatures: sets of bits
package iproute2
