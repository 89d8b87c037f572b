package shell

import (
	"strings"
	"testing"
)

func TestInCIDRBlock(t *testing.T) {
	for args, want := range map[string]string{
		`'10.0.0.0/26', '10.0.0.24'`:                             "1",
		`'10.0.0.0/26', '10.0.0.64'`:                             "0",
		`'198.51.100.14/24', '198.51.100.14'`:                    "1",
		`'198.51.100.14/024', '198.51.100.200'`:                  "1",
		`'10.0.0.0/24', '10.0.0.0'`:                              "0", // a network's own address
		`'10.0.0.0/24', '10.0.0.255'`:                            "0", // and its broadcast address
		`'10.0.0.0/31', '10.0.0.1'`:                              "0",
		`'10.0.0.1/32', '10.0.0.1'`:                              "1",
		`'10.0.0.1/32', '10.0.0.2'`:                              "0",
		`'255.255.255.255/32','255.255.255.255'`:                 "0",
		`'255.255.255.0/24', '255.255.255.7'`:                    "1",
		`'0.0.0.0/0', '192.0.2.1'`:                               "1",
		`'2001:db8::/48', '2001:db8:0:ffff:ffff:ffff:ffff:ffff'`: "1",
		`'2001:db8::/48', '2001:db8::'`:                          "1",
		`'2001:db8::/48', '2001:db8:1::'`:                        "0",
		`'fe80::/10', 'fe80::1%eth0'`:                            "1",
		`'2001:db8::1/128', '2001:db8::1'`:                       "1",
		`'::/0', '2001:db8::1'`:                                  "0", // it ends with the last address
		`'ff00::/8', 'ff02::1'`:                                  "0",
		`'10.0.0.0', '10.0.0.1'`:                                 "CIDR for IP address v4 cannot be parsed",
		`'10.0.0.0/', '10.0.0.1'`:                                "CIDR for IP address v4 cannot be parsed",
		`'10.0.0.0/33', '10.0.0.1'`:                              "CIDR for IP address v4 cannot be parsed",
		`'10.0.0.0/+8', '10.0.0.1'`:                              "CIDR for IP address v4 cannot be parsed",
		`'2001:db8::/48', '10.0.0.1'`:                            "CIDR for IP address v4 cannot be parsed",
		`'10.0.0.0/8', '2001:db8::1'`:                            "CIDR for IP address v6 cannot be parsed",
		`'10.0.0.0/8', ''`:                                       "IP address cannot be parsed",
		`'10.0.0.0/8', '10.0.0.01'`:                              "IP address cannot be parsed",
		`'10.0.0.0/8', NULL`:                                     "IP address must be a string",
		`'10.0.0.0/8', 5`:                                        "IP address must be a string",
		`NULL, '10.0.0.1'`:                                       "CIDR must be a string",
	} {
		got, err := ask(List, "SELECT in_cidr_block("+args+") AS x")
		if got = strings.TrimSuffix(strings.TrimPrefix(got, "x\n"), "\n"); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("in_cidr_block(%s): %s, want %s", args, got, want)
		}
	}
}
