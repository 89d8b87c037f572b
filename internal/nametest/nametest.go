// Package nametest makes the names of iproute2 for tests: the same on every host.
package nametest

import "kernelroutes/rtnl/iproute2"

// New returns the names that iproute2 has compiled in, and over them those in files: lines
// "NUMBER NAME" by the file's name, rt_tables, rt_protos, rt_scopes or rt_realms.
func New(files map[string]string) *iproute2.Names {
	n := iproute2.NoNames()
	for _, f := range n.Files() {
		for _, text := range []string{builtin[f.File], files[f.File]} {
			if err := f.ReadLines([]byte(text)); err != nil {
				panic(err)
			}
		}
	}
	return n
}

// builtin is what iproute2.NameSet.AppendLines says of the names compiled in.
var builtin = map[string]string{
	"rt_tables": "0 unspec\n253 default\n254 main\n255 local\n",
	"rt_protos": "0 unspec\n1 redirect\n2 kernel\n3 boot\n4 static\n8 gated\n9 ra\n10 mrt\n11 zebra\n12 bird\n" +
		"13 dnrouted\n14 xorp\n15 ntk\n16 dhcp\n17 mrouted\n18 keepalived\n42 babel\n84 ovn\n99 openr\n186 bgp\n" +
		"187 isis\n188 ospf\n189 rip\n192 eigrp\n",
	"rt_scopes": "0 global\n200 site\n253 link\n254 host\n255 nowhere\n",
	"rt_realms": "0 unknown\n",
}
