package events

// silent are changes of v0 (interface 3, 10.0.0.1/16, fd00::1/64) and v1 (5, 10.1.0.1/16,
// fd01::1/64), and what is told of them: but for what the kernel makes for addresses.
var silent = []struct {
	name          string
	sysctls       []string
	first, change []string
	want          []string
}{
	{
		name: "told",
		change: []string{
			"route add 20.0.0.0/8 via 10.0.0.2",
			"route replace 20.0.0.0/8 via 10.0.0.3",
			"route append 20.0.0.0/8 via 10.0.0.4",
			"route prepend 20.0.0.0/8 via 10.0.0.5",
			"route change 20.0.0.0/8 via 10.0.0.6",
			"nexthop add id 5 via 10.0.0.2 dev v0",
			"route del 20.0.0.0/8",
			"route add fd20::/64 nexthop via fd00::2 nexthop via fd00::3 nexthop via fd00::4",
			"route append fd20::/64 via fd00::9 dev v0",
			"route del fd20::/64 via fd00::3",
			"route del fd20::/64",
			"route add 21.0.0.0/8 nhid 5",
			"rule add pref 100 table 7",
			"rule del pref 100 table 7",
		},
		want: []string{
			"added route 254 20.0.0.0/8 10.0.0.2",
			"replaced route 254 20.0.0.0/8 10.0.0.3 was 254 20.0.0.0/8 10.0.0.2",
			"appended route 254 20.0.0.0/8 10.0.0.4",
			"added route 254 20.0.0.0/8 10.0.0.5",
			"replaced route 254 20.0.0.0/8 10.0.0.6 was 254 20.0.0.0/8 10.0.0.5",
			"added nexthop 5 10.0.0.2 []",
			"deleted route 254 20.0.0.0/8 10.0.0.6",
			"added route 254 fd20::/64 metric 1024 fd00::2 fd00::3 fd00::4",
			"appended route 254 fd20::/64 metric 1024 fd00::2 fd00::3 fd00::4 fd00::9" +
				" was 254 fd20::/64 metric 1024 fd00::2 fd00::3 fd00::4",
			"replaced route 254 fd20::/64 metric 1024 fd00::2 fd00::4 fd00::9" +
				" was 254 fd20::/64 metric 1024 fd00::2 fd00::3 fd00::4 fd00::9",
			"deleted route 254 fd20::/64 metric 1024 fd00::2 fd00::4 fd00::9",
			"added route 254 21.0.0.0/8 nhid 5 10.0.0.2",
			"added rule 100 7",
			"deleted rule 100 7",
		},
	},
	{
		name: "link down",
		first: []string{
			"route add 20.0.0.0/8 via 10.0.0.2",
			"route add 21.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.1.0.2",
			"route add fd20::/64 via fd00::2",
			"route add fd21::/64 nexthop via fd00::2 nexthop via fd01::2",
			"nexthop add id 1 via 10.0.0.2 dev v0",
			"nexthop add id 2 via 10.1.0.2 dev v1",
			"nexthop add id 3 group 1/2",
			"nexthop add id 4 group 1",
			"nexthop add id 6 via fd00::2 dev v0",
			"route add 22.0.0.0/8 nhid 1",
			"route add 23.0.0.0/8 nhid 3",
			"route add 24.0.0.0/8 nhid 4",
			"route add fd22::/64 nhid 6",
		},
		change: []string{"link set v0 down"},
		want: []string{
			"replaced link v0",
			"gone nexthop 1 10.0.0.2 []",
			"replaced nexthop 3 invalid IP [{2 1}] was 3 invalid IP [{1 1} {2 1}]",
			"gone nexthop 4 invalid IP [{1 1}]",
			"gone nexthop 6 fd00::2 []",
			"gone route 254 20.0.0.0/8 10.0.0.2",
			"gone route 254 22.0.0.0/8 nhid 1 10.0.0.2",
			"gone route 254 24.0.0.0/8 nhid 4 10.0.0.2",
			"replaced route 254 23.0.0.0/8 nhid 3 10.1.0.2 was 254 23.0.0.0/8 nhid 3 10.0.0.2 10.1.0.2",
			"deleted route 254 fd22::/64 metric 1024 nhid 6 fd00::2",
			"deleted route 254 fd20::/64 metric 1024 fd00::2",
		},
	},
	{
		name: "link deleted",
		first: []string{
			"route add 20.0.0.0/8 via 10.0.0.2",
			"route add fd20::/64 via fd00::2",
			"nexthop add id 1 via 10.0.0.2 dev v0",
			"route add 22.0.0.0/8 nhid 1",
		},
		change: []string{"link del v0"},
		want: []string{
			"replaced link v0",
			"gone nexthop 1 10.0.0.2 []",
			"gone route 254 20.0.0.0/8 10.0.0.2",
			"gone route 254 22.0.0.0/8 nhid 1 10.0.0.2",
			"deleted route 254 fd20::/64 metric 1024 fd00::2",
		},
	},
	{
		name: "carrier lost",
		first: []string{
			"route add 20.0.0.0/8 via 10.0.0.2",
			"route add fd20::/64 via fd00::2",
			"nexthop add id 1 via 10.0.0.2 dev v0",
			"route add 22.0.0.0/8 nhid 1",
			"nexthop add id 6 via fd00::2 dev v0",
			"route add fd22::/64 nhid 6",
		},
		change: []string{"link set v0p down"},
		want: []string{
			"deleted route 254 fd22::/64 metric 1024 nhid 6 fd00::2",
			"replaced link v0",
			"gone nexthop 1 10.0.0.2 []",
			"gone nexthop 6 fd00::2 []",
			"gone route 254 22.0.0.0/8 nhid 1 10.0.0.2",
		},
	},
	{
		name: "address that is preferred",
		first: []string{
			"address add 10.7.0.1/24 dev v0",
			"route add 20.0.0.0/8 via 10.0.0.2 src 10.7.0.1",
			"route add 21.0.0.0/8 via 10.0.0.2",
			"route add 22.0.0.0/8 via 10.1.0.2 src 10.7.0.1",
		},
		change: []string{"address del 10.7.0.1/24 dev v0"},
		want: []string{
			"deleted route 254 22.0.0.0/8 10.1.0.2",
			"deleted route 254 20.0.0.0/8 10.0.0.2",
		},
	},
	{
		name: "last address",
		first: []string{
			"route add 20.0.0.0/8 via 10.0.0.2",
			"route add 21.0.0.0/8 dev v0",
			"route add 22.0.0.0/8 dev v1",
			"route add fd20::/64 via fd00::2",
			"nexthop add id 1 via 10.0.0.2 dev v0",
			"route add 23.0.0.0/8 nhid 1",
		},
		change: []string{"address del 10.0.0.1/16 dev v0"},
		want: []string{
			"deleted address ",
			"gone route 254 20.0.0.0/8 10.0.0.2",
			"gone route 254 21.0.0.0/8 if3",
		},
	},
	{
		name:    "nexthop object deleted",
		sysctls: []string{"net.ipv4.nexthop_compat_mode=1"},
		first:   nexthopObjects,
		change:  []string{"nexthop del id 1"},
		want: []string{
			"deleted nexthop 1 10.0.0.2 []",
			"gone route 254 22.0.0.0/8 nhid 1 10.0.0.2",
			"gone route 254 24.0.0.0/8 nhid 4 10.0.0.2",
			"replaced route 254 23.0.0.0/8 nhid 3 10.1.0.2 was 254 23.0.0.0/8 nhid 3 10.0.0.2 10.1.0.2",
			"deleted nexthop 4 invalid IP [{1 1}]",
			"replaced nexthop 3 invalid IP [{2 1}] was 3 invalid IP [{1 1} {2 1}]",
		},
	},
	{
		name:    "nexthop object of IPv6 deleted",
		sysctls: []string{"net.ipv4.nexthop_compat_mode=1"},
		first:   nexthopObjects,
		change:  []string{"nexthop del id 6"},
		want: []string{
			"deleted nexthop 6 fd00::2 []",
			"deleted route 254 fd22::/64 metric 1024 nhid 6 fd00::2",
		},
	},
	{
		name:    "group deleted",
		sysctls: []string{"net.ipv4.nexthop_compat_mode=1"},
		first:   nexthopObjects,
		change:  []string{"nexthop del id 3"},
		want: []string{
			"deleted nexthop 3 invalid IP [{1 1} {2 1}]",
			"gone route 254 23.0.0.0/8 nhid 3 10.0.0.2 10.1.0.2",
		},
	},
	{
		name:    "nexthop object deleted, which alone routes name",
		sysctls: []string{"net.ipv4.nexthop_compat_mode=0"},
		first:   nexthopObjects,
		change:  []string{"nexthop del id 1"},
		want: []string{
			"deleted nexthop 1 10.0.0.2 []",
			"gone route 254 22.0.0.0/8 nhid 1 if0",
			"gone route 254 24.0.0.0/8 nhid 4 if0",
			"deleted nexthop 4 invalid IP [{1 1}]",
			"replaced nexthop 3 invalid IP [{2 1}] was 3 invalid IP [{1 1} {2 1}]",
		},
	},
	{
		name:    "nexthop object of IPv6 deleted, which alone routes name",
		sysctls: []string{"net.ipv4.nexthop_compat_mode=0"},
		first:   nexthopObjects,
		change:  []string{"nexthop del id 6"},
		want: []string{
			"deleted nexthop 6 fd00::2 []",
			"gone route 254 fd22::/64 metric 1024 nhid 6 if0",
		},
	},
	{
		name:    "group deleted, which alone routes name",
		sysctls: []string{"net.ipv4.nexthop_compat_mode=0"},
		first:   nexthopObjects,
		change:  []string{"nexthop del id 3"},
		want: []string{
			"deleted nexthop 3 invalid IP [{1 1} {2 1}]",
			"gone route 254 23.0.0.0/8 nhid 3 if0",
		},
	},
	{ // The one through v0 alone comes between the others, and all is compared 100 ms after the last line.
		name: "IPv6 route that no dump has",
		first: []string{
			"route add fd20::/64 via fd00::2",
			"route add fd21::/64 via fd00::2 proto 11",
			"route append fd21::/64 via fd00::3 proto 4",
		},
		change: []string{
			"route append fd20::/64 dev v0",
			"route append fd20::/64 via fd00::3",
			"route del fd21::/64 via fd00::2",
		},
		want: []string{
			"appended route 254 fd20::/64 metric 1024 if3",
			"appended route 254 fd20::/64 metric 1024 fd00::2 fd00::3 was 254 fd20::/64 metric 1024 fd00::2",
			"replaced route 254 fd21::/64 metric 1024 fd00::3 was 254 fd21::/64 metric 1024 fd00::2 fd00::3",
			"gone route 254 fd21::/64 metric 1024 fd00::3",
			"added route 254 fd21::/64 metric 1024 fd00::3",
		},
	},
	{
		name:   "another name",
		first:  []string{"route add 20.0.0.0/8 via 10.0.0.2"},
		change: []string{"link set v0 name x0", "route del 20.0.0.0/8"},
		want: []string{
			"deleted route 254 20.0.0.0/8 10.0.0.2",
		},
	},
	{
		name:   "a bridge's ports",
		first:  []string{"link add b0 type bridge", "link set v0 master b0", "route add 20.0.0.0/8 dev v0"},
		change: []string{"link set v1 master b0", "link set v0 nomaster", "link set b0 up", "link del b0"},
	},
}

// nexthopObjects are routes that use nexthop objects, and groups of these.
var nexthopObjects = []string{
	"nexthop add id 1 via 10.0.0.2 dev v0",
	"nexthop add id 2 via 10.1.0.2 dev v1",
	"nexthop add id 3 group 1/2",
	"nexthop add id 4 group 1",
	"nexthop add id 6 via fd00::2 dev v0",
	"route add 22.0.0.0/8 nhid 1",
	"route add 23.0.0.0/8 nhid 3",
	"route add 24.0.0.0/8 nhid 4",
	"route add fd22::/64 nhid 6",
}
