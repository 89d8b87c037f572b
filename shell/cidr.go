package shell

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// inCIDRBlock is osquery's in_cidr_block(cidr, address): 1 if the address is one
// of the network's hosts, 0 if it is not, an error for anything else than two
// strings of one family. As in osquery, and unlike netip.Prefix.Contains, the
// first and the last address of an IPv4 network shorter than /32 are no hosts,
// and nor is any address of a network that ends with the last address of all.
func inCIDRBlock(ctx sqlite3.Context, arg ...sqlite3.Value) {
	switch in, err := hosts(arg[0], arg[1]); {
	case err != nil:
		ctx.ResultError(err)
	default:
		ctx.ResultBool(in)
	}
}

func hosts(cidr, address sqlite3.Value) (bool, error) {
	if cidr.Type() != sqlite3.TEXT {
		return false, osqueryError("CIDR must be a string")
	}
	if address.Type() != sqlite3.TEXT {
		return false, osqueryError("IP address must be a string")
	}
	addr, err := netip.ParseAddr(address.Text())
	if err != nil {
		return false, osqueryError("IP address cannot be parsed")
	}
	addr = addr.WithZone("")
	network, ok := parseNetwork(cidr.Text())
	if !ok || network.Addr().Is4() != addr.Is4() {
		if addr.Is4() {
			return false, osqueryError("CIDR for IP address v4 cannot be parsed")
		}
		return false, osqueryError("CIDR for IP address v6 cannot be parsed")
	}
	first, last := network.Masked().Addr(), lastAddr(network)
	if !addr.Is4() || network.IsSingleIP() {
		return network.Contains(addr) && last.Next().IsValid(), nil
	}
	return network.Contains(addr) && addr != first && addr != last, nil
}

// parseNetwork differs from netip.ParsePrefix in that it takes leading zeros in
// the prefix length.
func parseNetwork(s string) (netip.Prefix, bool) {
	a, l, ok := strings.Cut(s, "/")
	addr, err := netip.ParseAddr(a)
	if !ok || err != nil || strings.Trim(l, "0123456789") != "" {
		return netip.Prefix{}, false
	}
	bits, err := strconv.Atoi(l)
	p := netip.PrefixFrom(addr.WithZone(""), bits)
	return p, err == nil && p.IsValid()
}

func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
