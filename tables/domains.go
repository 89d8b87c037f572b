package tables

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// noNumber is for words of which each number has one.
const noNumber = 0

// Columns with fixed words.
var (
	families = words(false, noNumber,
		familyNames(object.IPv4, object.IPv6, object.MPLS, object.IPMR, object.IP6MR), ipFamilies)
	gatewayFamilies = words(true, noNumber, append(familyNames(object.IPv4, object.IPv6), linkFamily), ipFamilies)
	routeTypes      = words(false, math.MaxUint8, wordList(routeType),
		map[string]string{"gateway": "unicast"}) // the word of osquery's table routes
	operStates = words(true, noNumber, wordList(operState), nil)
	encapTypes = words(true, math.MaxUint16, wordList(encapType), nil)
	prefs      = words(true, math.MaxUint8, prefNames[:], nil)
)

// ipFamilies are ip's words and options for families.
var ipFamilies = map[string]string{"inet": "ipv4", "inet6": "ipv6", "4": "ipv4", "6": "ipv6"}

func routeType(n uint8) string { return object.RouteType(n).String() }

func operState(n uint8) string { return (&object.Link{OperState: n}).OperStateName() }

func encapType(n uint8) string { return object.Encap{Type: uint16(n)}.TypeName() }

func familyNames(families ...object.Family) (names []string) {
	for _, f := range families {
		names = append(names, f.String())
	}
	return names
}

// wordList returns the words for 0, 1, 2 and so on, up to the first number that has
// none or stands for itself.
func wordList(word func(uint8) string) (all []string) {
	for n := range uint8(math.MaxUint8) {
		w := word(n)
		if _, err := strconv.Atoi(w); err == nil || w == "" && n > 0 {
			break
		}
		all = append(all, w)
	}
	return all
}

// words is the domain of a column with a word for each of the first numbers, and
// the number itself, up to last, for one without a word. There are people who are
// used to other words.
func words(absent bool, last uint64, all []string, others map[string]string) *domain {
	return &domain{
		absent: absent,
		can: func(_ *iproute2.Names, value string) bool {
			if value != "" && slices.Contains(all, value) {
				return true
			}
			n, ok := spellNumber(value, last)
			return ok && (n >= uint64(len(all)) || all[n] == "")
		},
		advise: func(_ *adviser, value string) string {
			if w, ok := others[strings.ToLower(value)]; ok {
				return didYouMean(w)
			}
			if n, ok := spellNumber(value, last); ok && last != noNumber && n < uint64(len(all)) {
				return didYouMean(all[n])
			}
			return suggest(value, all)
		},
	}
}

// Names that a host may add to.
var (
	tableNames    = nameDomain{set: (*iproute2.Names).Tables, used: (*adviser).tables}
	protocolNames = nameDomain{set: (*iproute2.Names).Protocols}
	scopeNames    = nameDomain{set: (*iproute2.Names).Scopes,
		others: map[string]uint32{"universe": 0}} // the kernel's word
	realmNames = nameDomain{set: (*iproute2.Names).Realms, absent: true}
)

// A nameDomain is that of a column of names of numbers.
type nameDomain struct {
	set    func(*iproute2.Names) *iproute2.NameSet
	absent bool
	used   func(*adviser) []uint32 // those that routes use; takes long; may be nil
	others map[string]uint32       // words that are used elsewhere
}

func (d nameDomain) domain() *domain {
	return &domain{
		absent: d.absent,
		can: func(n *iproute2.Names, value string) bool {
			set := d.set(n)
			return slices.ContainsFunc(set.IDs(value), func(id uint32) bool { return set.Has(id, value) })
		},
		advise: d.advise,
	}
}

func (d nameDomain) advise(a *adviser, value string) string {
	set := d.set(a.names)
	id, ok := d.others[strings.ToLower(value)]
	if n, err := parseAny(value); err == nil { // 254 is main, and 0x64 is 100
		id, ok = uint32(n), set.Has(uint32(n), set.Text(uint32(n)))
	}
	if ok {
		return didYouMean(set.Text(id))
	}
	var used, all []string
	for _, name := range set.All() {
		all = append(all, name)
	}
	slices.Sort(all)
	if d.used != nil && !isNear(value, all) {
		for _, id := range d.used(a) {
			used = append(used, set.Text(id))
		}
	}
	return suggest(value, append(used, all...))
}

// tables returns the tables that have routes.
func (a *adviser) tables() (ids []uint32) {
	s := a.read(rtnl.Filter{}, object.Routes.Kind)
	for c := s.Cursor(object.FieldTable); c.Next(); {
		if id := c.Route().Table; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Addresses, and what has addresses in it.
var (
	addrs    = &domain{absent: true, spell: spellAddr, advise: adviseAddr}
	gateways = &domain{absent: true, spell: spellGateway, advise: adviseAddr}
	dsts     = &domain{spell: spellDst, advise: adviseDst}
	srcs     = &domain{absent: true, spell: spellSrc, advise: adviseSrc}
	routeIDs = &domain{spell: spellID, advise: func(*adviser, string) string {
		return "a route_id is like ipv4:254:10.0.0.0/8:0123456789abcdef"
	}}
)

func adviseAddr(_ *adviser, value string) string {
	addr, _, _ := strings.Cut(value, "/")
	switch a, err := netip.ParseAddr(addr); {
	case err == nil && a.IsUnspecified():
		return "where there is none, it is empty: " + didYouMean("")
	case err == nil:
		return "an address stands alone: " + didYouMean(string(object.AppendAddr(nil, a.WithZone(""))))
	}
	return "an address is like 192.0.2.1 or 2001:db8::1"
}

func adviseDst(a *adviser, value string) string {
	if isDefault(value) {
		return "did you mean '0.0.0.0/0' or '::/0'?"
	}
	if addr, err := netip.ParseAddr(value); err == nil && addr.Zone() == "" {
		return "a destination has a prefix length: " + a.adviseLength(addr)
	}
	if advice := advisePrefix(a, value); advice != prefixForm {
		return advice
	}
	return "a destination is like 10.0.0.0/8, 2001:db8::/32 or, for mpls, 100"
}

// isDefault reports whether a prefix is one of iproute2's words for that of no length.
func isDefault(prefix string) bool {
	return slices.Contains([]string{"default", "all", "any"}, strings.ToLower(prefix))
}

func adviseSrc(a *adviser, value string) string {
	if p, err := netip.ParsePrefix(value); err == nil && p.Bits() == 0 || isDefault(value) {
		return "for any source it is empty: " + didYouMean("")
	}
	return advisePrefix(a, value)
}

const prefixForm = "a source is like 10.0.0.0/8 or 2001:db8::/32"

// advisePrefix knows host bits, IPv4 netmasks, and addresses without a length or cut
// short.
func advisePrefix(_ *adviser, value string) string {
	if p, err := netip.ParsePrefix(value); err == nil {
		return "bits after the prefix length are 0: " + didYouMean(string(object.AppendPrefix(nil, p.Masked())))
	}
	text, mask, _ := strings.Cut(value, "/")
	if missing := 3 - strings.Count(text, "."); missing > 0 { // 10/8, as for ip
		if p, err := netip.ParsePrefix(text + strings.Repeat(".0", missing) + "/" + mask); err == nil {
			return didYouMean(p.Masked().String())
		}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return prefixForm
	}
	bits := addr.BitLen()
	if mask != "" {
		ones, size := net.IPMask(net.ParseIP(mask).To4()).Size()
		if size == 0 || !addr.Is4() {
			return prefixForm
		}
		bits = ones
	}
	p, _ := addr.Prefix(bits)
	return "a prefix has a length: " + didYouMean(string(object.AppendPrefix(nil, p)))
}

// adviseLength names the most specific destination there is that begins with the
// address; where there is none, the address's own and the most specific one that it
// is in.
func (a *adviser) adviseLength(addr netip.Addr) string {
	var all []netip.Prefix
	for bits := range addr.BitLen() + 1 {
		p, _ := addr.Prefix(bits)
		all = append(all, p)
	}
	var begins, covers netip.Prefix
	for c := a.read(rtnl.Filter{Dsts: all}, object.Routes.Kind).Cursor(object.FieldDst); c.Next(); {
		switch p := c.Route().Dst; {
		case p.Addr() == addr && (!begins.IsValid() || p.Bits() > begins.Bits()):
			begins = p
		case !covers.IsValid() || p.Bits() > covers.Bits():
			covers = p
		}
	}
	text := func(p netip.Prefix) string { return string(object.AppendPrefix(nil, p)) }
	own := all[addr.BitLen()]
	switch {
	case begins.IsValid():
		return didYouMean(text(begins))
	case addr.IsUnspecified():
		return didYouMean(text(all[0]))
	case covers.IsValid():
		return didYouMean(text(own)) + " The nearest that there is: " + quote(text(covers))
	}
	return didYouMean(text(own))
}

// Interfaces. Those whose routes are chosen by their name, in column dev, are known
// when the routes have been read; see devNames.
var (
	outputs = &domain{absent: true, can: noInterface, advise: adviseLink}
	inputs  = &domain{absent: true, can: isNumber, advise: adviseLink} // its index if it has gone away
)

func noInterface(*iproute2.Names, string) bool { return false }

func isNumber(_ *iproute2.Names, value string) bool {
	_, ok := spellNumber(value, math.MaxUint32)
	return ok
}

func adviseLink(a *adviser, value string) string {
	var all []string
	for l := range rtnl.All(a.read(rtnl.Filter{}, object.Links.Kind), object.Links) {
		all = append(all, l.Name)
	}
	if slices.Contains(all, value) {
		return "" // it has just come, or is asked for as an input
	}
	return NoInterface(value, all)
}

// NoInterface says that no interface has the name, and which of the names that there are may be meant.
func NoInterface(name string, there []string) string {
	const text = "there is no such interface"
	if len(there) == 0 {
		return text
	}
	return text + ": " + suggest(name, slices.Sorted(slices.Values(there)))
}

// Lists of the names of bits.
var (
	flagLists    = lists(iproute2.AppendFlags)
	featureLists = lists(iproute2.AppendFeatures)
	metricLists  = lists(iproute2.AppendMetrics)
)

// lists is the domain of a column that has the names of the bits of a mask, as the
// function appends them.
func lists(names func([]byte, uint32) []byte) *domain {
	return &domain{
		absent: true,
		can: func(_ *iproute2.Names, value string) bool {
			mask, unknown := parseList(names, value)
			return unknown == "" && string(names(nil, mask)) == value
		},
		advise: func(_ *adviser, value string) string {
			mask, unknown := parseList(names, value)
			if unknown == "" {
				return didYouMean(string(names(nil, mask)))
			}
			var all []string
			for bit := range 32 {
				if name := string(names(nil, 1<<bit)); name[0] > '9' { // else it is a number
					all = append(all, name)
				}
			}
			if unknown == value {
				return suggest(unknown, all)
			}
			return "there is no " + quote(unknown) + ": " + suggest(unknown, all)
		},
	}
}

// parseList is the inverse of names, in any order and with blanks. unknown is the
// first word that is none.
func parseList(names func([]byte, uint32) []byte, list string) (mask uint32, unknown string) {
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		var bits uint32
		for bit := range 32 {
			if string(names(nil, 1<<bit)) == word {
				bits = 1 << bit
			}
		}
		if n, err := parseAny(word); bits == 0 && err == nil { // several bits without names
			bits = uint32(n)
		}
		if bits == 0 && word != "" {
			return 0, word
		}
		mask |= bits
	}
	return mask, ""
}

// anyNumber is the domain of what may be negative or need 64 bits.
var anyNumber = between(math.MinInt64, math.MaxInt64)

// tableIDs is the domain of numbers that may have names, in another column.
var tableIDs = func() *domain {
	d := *numbersTo(math.MaxUint32)
	adviseNumber := d.advise
	d.advise = func(a *adviser, value string) string {
		if ids := a.names.Tables().IDs(value); len(ids) > 0 {
			return didYouMean(strconv.FormatUint(uint64(ids[0]), 10))
		}
		return adviseNumber(a, value)
	}
	return &d
}()

// numbersTo is the domain of whole numbers from 0 on.
func numbersTo(last int64) *domain { return between(0, last) }

// between is the domain of whole numbers in a range.
func between(first, last int64) *domain {
	return &domain{
		can: func(_ *iproute2.Names, value string) bool {
			b, ok := parseBound(Equals, value)
			switch {
			case b.isInt:
				return first <= b.exact && b.exact <= last
			case ok:
				return b.value == math.Trunc(b.value) && float64(first) <= b.value && b.value <= float64(last)
			}
			return false
		},
		advise: func(a *adviser, value string) string {
			switch n, err := parseAny(value); {
			case value == "":
				return "a number that is absent is NULL: write " + a.column + " IS NULL"
			case err == nil && int64(n) <= last: // 0x64
				return didYouMean(strconv.FormatUint(n, 10))
			}
			return fmt.Sprintf("it is a whole number from %d to %d", first, last)
		},
	}
}

// parseAny reads a number up to 4294967295 in decimal or, after 0x, in hexadecimal.
func parseAny(value string) (uint64, error) {
	if hex, found := strings.CutPrefix(strings.ToLower(value), "0x"); found {
		return strconv.ParseUint(hex, 16, 32)
	}
	return strconv.ParseUint(value, 10, 32)
}
