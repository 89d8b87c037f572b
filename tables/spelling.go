package tables

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// Some values can be written in more than one way: a table number may have several
// names, and fd00::1 is FD00:0::1 too. A row shows one of them. But SQLite filters
// every row again, in osquery always, by comparing what the row shows with what was
// asked for. So in a query that asks for another spelling by an equality, and not
// for the one that is shown, the rows that have the value show the spelling that
// was asked for.

// respelled returns what is to be the column's text function for a query with
// equalities on the column; nil: the one that it has.
func (c *column[R]) respelled(names *iproute2.Names, values []string) func(*R, []byte) []byte {
	shown := c.text
	if c.names != nil {
		asked := otherNames(c.names(names), values)
		if asked == nil {
			return nil
		}
		return func(r *R, b []byte) []byte {
			from := len(b)
			b = shown(r, b)
			if name, ok := asked[c.id(r)]; ok && len(b) > from {
				return append(b[:from], name...)
			}
			return b
		}
	}
	if c.domain == nil || c.domain.spell == nil {
		return nil
	}
	asked := otherSpellings(c.domain.spell, values)
	if asked == nil {
		return nil
	}
	return func(r *R, b []byte) []byte {
		from := len(b)
		b = shown(r, b)
		if spelling, ok := asked[string(b[from:])]; ok {
			return append(b[:from], spelling...)
		}
		return b
	}
}

// otherNames returns the numbers that are asked for by a name that is not the one
// shown, each with that name; nil if there are none.
func otherNames(set *iproute2.NameSet, values []string) map[uint32]string {
	var asked map[uint32]string
	for _, v := range values {
		for _, id := range set.IDs(v) {
			shown := set.Text(id)
			if v == shown || !set.Has(id, v) || asked[id] != "" || slices.Contains(values, shown) {
				continue
			}
			if asked == nil {
				asked = map[uint32]string{}
			}
			asked[id] = v
		}
	}
	return asked
}

// otherSpellings returns the values that rows show otherwise, each by what they
// show; nil if there are none.
func otherSpellings(spell func(string) (string, bool), values []string) map[string]string {
	var asked map[string]string
	for _, v := range values {
		shown, ok := spell(v)
		if !ok || shown == v || asked[shown] != "" {
			continue
		}
		if asked == nil {
			asked = map[string]string{}
		}
		asked[shown] = v
	}
	if asked != nil {
		for _, v := range values {
			delete(asked, v)
		}
	}
	return asked
}

// The functions that follow return the spelling of a value that rows show, and
// whether a row can have such a value.

// spellAddr takes no unspecified address, which the kernel does not send. (Of MPLS
// routes it may, but a gateway of that kind cannot be reached.)
func spellAddr(value string) (string, bool) {
	a, err := netip.ParseAddr(value)
	if err != nil || a.Zone() != "" || a.IsUnspecified() {
		return "", false
	}
	var buf [64]byte
	return nilIfEqual(object.AppendAddr(buf[:0], a), value), true
}

// spellGateway takes link-layer addresses too.
func spellGateway(value string) (string, bool) {
	// Of any length: net.ParseMAC knows three.
	link, err := hex.DecodeString(strings.ReplaceAll(value, ":", ""))
	if shown := string(object.AppendLinkAddr(nil, link)); err == nil && strings.EqualFold(shown, value) {
		return nilIfEqual([]byte(shown), value), true
	}
	return spellAddr(value)
}

// spellPrefix takes no prefix with bits beyond its length, which the kernel clears
// or refuses.
func spellPrefix(value string) (string, bool) {
	p, err := netip.ParsePrefix(value)
	if err != nil || p != p.Masked() {
		return "", false
	}
	var buf [64]byte
	return nilIfEqual(object.AppendPrefix(buf[:0], p), value), true
}

// spellSrc takes no prefix of no length, for which the column is empty.
func spellSrc(value string) (string, bool) {
	shown, ok := spellPrefix(value)
	return shown, ok && !strings.HasSuffix(shown, "/0")
}

// spellDst takes MPLS labels too.
func spellDst(value string) (string, bool) {
	const lastLabel = 1<<20 - 1
	if _, ok := spellNumber(value, lastLabel); ok || strings.HasPrefix(value, "hex:") {
		return value, true
	}
	return spellPrefix(value)
}

// spellID spells the destination in an identity.
func spellID(value string) (string, bool) {
	id, _, ok := cutID(value)
	if !ok {
		return "", false
	}
	shown, ok := spellOwnID(id)
	return shown + value[len(id):], ok
}

func spellOwnID(value string) (string, bool) {
	family, rest, _ := strings.Cut(value, ":")
	table, rest, _ := strings.Cut(rest, ":")
	end := strings.LastIndexByte(rest, ':')
	if _, known := object.ParseFamily(family); !known || end < 0 {
		return "", false
	}
	_, number := spellNumber(table, 1<<32-1)
	hash := rest[end+1:]
	dst, ok := spellDst(rest[:end])
	if !ok || !number || len(hash) != 16 || strings.Trim(hash, "0123456789abcdef") != "" {
		return "", false
	}
	if dst == rest[:end] {
		return value, true
	}
	return value[:len(value)-len(rest)] + dst + rest[end:], true
}

// spellNumber takes a number in decimal, without a sign and leading zeros.
func spellNumber(value string, last uint64) (uint64, bool) {
	n, err := strconv.ParseUint(value, 10, 64)
	return n, err == nil && n <= last && (value[0] != '0' || len(value) == 1)
}

// nilIfEqual is string(b), without a copy where it is same.
func nilIfEqual(b []byte, same string) string {
	if string(b) == same {
		return same
	}
	return string(b)
}
