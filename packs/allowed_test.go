package packs

import (
	"os"
	"slices"
	"testing"
	"testing/fstest"
)

// TestAllowed edits the lists that are empty, or that ask for less than benchmarks do: what was a
// finding is none then, or the other way round.
func TestAllowed(t *testing.T) {
	const forwarding = "set_sysctl net.ipv4.ip_forward 1"
	for i, c := range []struct {
		check, list, host, run string
		without, with          int // rows
	}{
		{"forwarding_enabled", "name: router_address\ncolumns: [dst, why]\nrows:\n  - [192.0.2.66/32, NAT]",
			"networkd-two-uplinks", forwarding, 2, 0},
		{"forwarding_between_networks", "name: router_address\ncolumns: [dst, why]\nrows:\n" +
			"  - ['2001:db8:2::2/128', NAT]", "networkd-two-uplinks", forwarding, 2, 0},
		{"routing_daemon_route", "name: router_address\ncolumns: [dst, why]\nrows:\n  - [192.168.1.20/32, its own BGP]",
			"laptop-networkd", "ip route add 10.99.0.0/16 via 192.168.1.1 proto bgp", 1, 0},
		// An address that is only routed to tells nothing, and what a host does counts no more.
		{"forwarding_between_networks", "name: router_address\ncolumns: [dst, why]\nrows:\n" +
			"  - [198.51.100.66/32, other]", "networkd-two-uplinks",
			forwarding + "\nip route add 198.51.100.66 via 192.0.2.65 proto bgp", 0, 2},
		{"routing_daemon_route", "name: routing_protocol\ncolumns: [protocol]\nrows:\n  - [ospf]",
			"laptop-networkd", "ip route add 10.99.0.0/16 via 192.168.1.1 proto bgp", 1, 0},
		{"forwarding_between_networks", "name: bridging_device\ncolumns: [pattern, why]\nrows:\n  - [eth1, storage]",
			"networkd-two-uplinks", forwarding, 2, 0},
		{"reverse_path_filter_off", "name: rp_filter_at_fault\ncolumns: [value]\nrows:\n  - [0]\n  - [2]",
			"networkd-two-uplinks", "", 0, 2},
		{"icmp_redirects_accepted", "name: setting_allowed\ncolumns: [setting, pattern, why]\nrows:\n" +
			"  - [accept_redirects, eth1, two routers]\n  - [accept_ra, '%', another setting]",
			"networkd-two-uplinks", "set_sysctl net.ipv4.conf.all.accept_redirects 1", 2, 1},
		{"router_advertisements_accepted", "name: setting_allowed\ncolumns: [setting, pattern, why]\nrows:\n" +
			"  - [accept_ra, enp%, ifupdown]",
			"laptop-networkd", "set_sysctl net.ipv6.conf.enp1s0.accept_ra 1", 1, 0},
		{"duplicate_default", "name: second_default\ncolumns: [gateway, dev, why]\nrows:\n" +
			"  - [192.168.1.1, enp1s0, the router]",
			"laptop-networkd", "ip route append default via 192.168.1.66 dev enp1s0 metric 1024", 2, 1},
		{"duplicate_default", "name: second_default\ncolumns: [gateway, dev, why]\nrows:\n" +
			"  - ['fe80::%', wlan0, both routers]",
			"laptop-dhcp-ra", "ip -6 route append default via fe80::66 dev wlan0 metric 600", 2, 0},
		{"default_gateway_unreachable", "name: gateway_outside\ncolumns: [gateway, dev, why]\nrows:\n" +
			"  - [198.18.%, eth%, our provider]", "gcp-instance", "ip route del 10.128.0.1 dev ens4", 1, 1},
		{"default_gateway_unreachable", "name: gateway_outside\ncolumns: [gateway, dev, why]\nrows:\n" +
			"  - [10.128.%, ens4, our provider]", "gcp-instance", "ip route del 10.128.0.1 dev ens4", 1, 0},
		{"metadata_route", "name: metadata_gateway\ncolumns: [gateway, dev, why]\nrows:\n" +
			"  - [10.1.0.2, eth0, OpenStack]", "azure-vm",
			"ip route append 169.254.169.254 via 10.1.0.2 dev eth0 metric 9\n" +
				"ip route append 169.254.169.254 via 10.1.0.3 dev eth0 metric 9", 2, 1},
		{"tunnel_encap_route", "name: allowed_encap\ncolumns: [encap_type, why]\nrows:\n  - [ip, overlay]",
			"docker-host", "ip route add 203.0.113.0/24 encap ip id 7 dst 198.51.100.7 dev eth0", 1, 0},
		{"fwmark_rule_empty_table", "name: empty_table\ncolumns: [table_id, why]\nrows:\n  - [100, proxy]",
			"docker-host", "ip rule add fwmark 1 table 100\nip rule add fwmark 2 table 101", 2, 1},
		{"route_without_carrier", "name: idle_device\ncolumns: [dev, why]\nrows:\n  - [br%, guests]",
			"docker-host", "ip route add 10.9.0.0/16 dev docker0\nbridge br0 02:00:00:00:00:77\n" +
				"ip route add 10.8.0.0/16 dev br0", 2, 1},
		{"unknown_rule", "name: rule_software\ncolumns: [software, first_priority, last_priority, marked, action, " +
			"first_table, last_table, iif, protocol]\nrows:\n  - [proxy, 1, 99, 'yes', table, 100, 100, '%', '']",
			"docker-host", "ip rule add pref 7 fwmark 1 table 100\nip rule add pref 8 table 100\n" +
				"ip rule add pref 9 not fwmark 1 table 100", 3, 2},
	} {
		if testing.Short() && i%6 > 0 {
			continue
		}
		t.Run(c.check, func(t *testing.T) {
			buildHost(t, c.host)
			runShell(t, c.run)
			if rows := ask(t, withList(t, c.check, "")); len(rows) != c.without {
				t.Errorf("without a list there are %d rows, want %d: %v", len(rows), c.without, rows)
			}
			if rows := ask(t, withList(t, c.check, c.list)); len(rows) != c.with {
				t.Errorf("with\n%s\nthere are %d rows, want %d: %v", c.list, len(rows), c.with, rows)
			}
		})
	}
}

// TestSettingAllowed weakens all settings of an interface: what is allowed by one setting's name
// is none of the others' findings.
func TestSettingAllowed(t *testing.T) {
	buildHost(t, "laptop-networkd")
	runShell(t, `
		for setting in accept_redirects secure_redirects send_redirects accept_source_route; do
			set_sysctl net.ipv4.conf.all.$setting 1
			set_sysctl net.ipv4.conf.enp1s0.$setting 1
		done
		for setting in log_martians rp_filter; do
			set_sysctl net.ipv4.conf.all.$setting 0
			set_sysctl net.ipv4.conf.enp1s0.$setting 0
		done
		set_sysctl net.ipv6.conf.enp1s0.accept_ra 1`)
	settings := map[string]string{
		"icmp_redirects_accepted":        "accept_redirects",
		"secure_redirects_accepted":      "secure_redirects",
		"redirects_sent":                 "send_redirects",
		"source_routes_accepted":         "accept_source_route",
		"reverse_path_filter_off":        "rp_filter",
		"martians_not_logged":            "log_martians",
		"router_advertisements_accepted": "accept_ra",
	}
	short := []string{"accept_redirects", "rp_filter", "accept_ra"}
	for check, own := range settings {
		if testing.Short() && !slices.Contains(short, own) {
			continue
		}
		list := "name: setting_allowed\ncolumns: [setting, pattern, why]\nrows:"
		others := list
		for _, setting := range settings {
			if setting != own {
				others += "\n  - [" + setting + ", '%', test]"
			}
		}
		if rows := ask(t, withList(t, check, others)); len(rows) != 1 {
			t.Errorf("%s: where other settings are allowed there are the rows %v", check, rows)
		}
		if rows := ask(t, withList(t, check, list+"\n  - ["+own+", 'enp%', test]")); len(rows) != 0 {
			t.Errorf("%s: what is allowed has the rows %v", check, rows)
		}
	}
}

// withList is the SQL of a check where a list has a team's rows.
func withList(t *testing.T, check, list string) string {
	t.Helper()
	files := fstest.MapFS{}
	if list != "" {
		var l List
		text := []byte(list + "\nwhat: ours\n")
		if err := decode(fstest.MapFS{"list": {Data: text}}, "list", &l); err != nil {
			t.Fatal(err)
		}
		files[l.Name+".yml"] = &fstest.MapFile{Data: text}
	}
	overlaid, err := WithLists(os.DirFS("."), files)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Load(overlaid)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		for _, c := range p.Checks {
			if c.Name == check {
				return c.SQL()
			}
		}
	}
	t.Fatalf("there is no check %s", check)
	return ""
}
