package object

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"unsafe"

	"kernelroutes/rtnl/wire"
)

// An Attribute is what the tag of a struct's field says of the netlink attribute that is
// decoded into it:
//
//	UID Opt[uint32] `rta:"25 UID" since:"4.10" column:"uid" doc:"User id ..."`
//
// The number and the name of the kernel's constant come first, for two that make one
// field with a comma between. "be" after them says that a number is in network byte
// order, "request" that no dump has the attribute: it is shown as not understood too.
// since is the first Linux that has the attribute; those without had it before 3.2, the
// oldest that Go runs on. column and doc are for numbers which are shown as they are.
type Attribute struct {
	Number uint16 // of the kernel's constant
	Name   string // RTA_UID
	Since  string // the first Linux that has it, as "4.10"; "": all
	Column string // in lower case, as iproute2 calls it; "": it is not shown by itself
	Doc    string // what the number means, with its unit
	Size   int    // bytes of the number

	get func(unsafe.Pointer) (uint64, bool) // of an Opt of a number, else nil
}

// IsNumber reports whether the attribute holds a number, which Of returns.
func (a *Attribute) IsNumber() bool { return a.get != nil }

// Field returns the set of which it is the only attribute.
func (a *Attribute) Field() Fields { return fieldOf(a.Number) }

// attributeSince has the first Linux of every attribute that is known, by its name: of those that
// tags tell of, and of these, which are nested in others and decoded by hand.
var attributeSince = map[string]string{
	"IFLA_INFO_KIND":      "",
	"IFLA_VRF_TABLE":      "4.3",
	"IFLA_INET_CONF":      "",
	"IFLA_INET6_CONF":     "",
	"IFLA_INET6_FLAGS":    "",
	"IFLA_INET6_TOKEN":    "3.10",
	"IFLA_INET6_RA_MTU":   "5.15",
	"SEG6_LOCAL_COUNTERS": "5.13",
}

// AttributeSince returns the first Linux that has the attribute of a name, as RTA_UID, "" for one
// that all have; false: it is not known.
func AttributeSince(name string) (linux string, known bool) {
	linux, known = attributeSince[name]
	return linux, known
}

// A setter decodes the payload of an attribute into a field. It returns false where it
// does not understand it: then the attribute is kept as it is.
type setter[T any] func(v *T, data []byte) bool

// attributes are those of the messages from which a T is decoded.
type attributes[T any] struct {
	known Fields
	field [lastField]field // by number; zero: not known
	list  []Attribute      // in the order of the fields
	// shared are attributes for one field: of these, too, the last one in a message counts.
	shared Fields
}

// A field is how one attribute is decoded into a struct.
type field struct {
	decode  decoder // nil: it is not known
	offset  uintptr // of what decode is given the address of
	request bool
}

// set decodes an attribute into the struct. It returns false where it does not
// understand it.
func (f *field) set(v unsafe.Pointer, data []byte) bool {
	return f.decode != nil && f.decode(unsafe.Add(v, f.offset), data) && !f.request
}

// attributesOf reads the tags of a struct's fields. special are the attributes that are
// not decoded as the type of their field says, by their number. It panics where a tag is
// wrong: all are read when the program starts.
func attributesOf[T any](prefix string, special map[uint16]setter[T]) *attributes[T] {
	t, left := new(attributes[T]), maps.Clone(special)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		for part := range strings.SplitSeq(f.Tag.Get(prefix), ",") {
			if part == "" {
				continue
			}
			if err := t.add(prefix, f, part, special); err != nil {
				panic(fmt.Sprintf("%s.%s, attribute %q: %v", reflect.TypeFor[T](), f.Name, part, err))
			}
			delete(left, t.list[len(t.list)-1].Number)
		}
	}
	for number := range left {
		panic(fmt.Sprintf("no field of %s has attribute %d", reflect.TypeFor[T](), number))
	}
	return t
}

// sharing says which attributes share a field.
func (t *attributes[T]) sharing(f Fields) *attributes[T] {
	t.shared = f
	return t
}

// add adds an attribute as a part of a field's tag tells of it.
func (t *attributes[T]) add(prefix string, f reflect.StructField, part string, special map[uint16]setter[T]) error {
	words := strings.Fields(part)
	if len(words) < 2 {
		return errors.New("it needs a number and a name")
	}
	n, err := strconv.ParseUint(words[0], 10, 16)
	if err != nil || n >= lastField {
		return fmt.Errorf("its number is none below %d", lastField)
	}
	if t.known&(1<<n) != 0 {
		return errors.New("there is another one with its number")
	}
	var be, request bool
	for _, word := range words[2:] {
		switch word {
		case "be":
			be = true
		case "request":
			request = true
		default:
			return fmt.Errorf("there is no option %q", word)
		}
	}
	c, ok := codecs[codecKey{f.Type, be}]
	set := special[uint16(n)]
	switch {
	case len(f.Index) != 1: // then its offset is one in another struct
		return errors.New("it is in an embedded struct")
	case set != nil && (be || request):
		return errors.New("it has options, but is decoded in its own way")
	case set != nil:
		t.field[n] = field{decode: func(v unsafe.Pointer, d []byte) bool { return set((*T)(v), d) }}
	case ok:
		t.field[n] = field{c.decode, f.Offset, request}
	default:
		return fmt.Errorf("none can be decoded into the type %s (network byte order: %v)", f.Type, be)
	}
	a := Attribute{Number: uint16(n), Name: strings.ToUpper(prefix) + "_" + words[1], Column: f.Tag.Get("column"),
		Doc: f.Tag.Get("doc"), Since: f.Tag.Get("since")}
	if a.Since != "" && ParseRelease(a.Since) == (Release{}) {
		return fmt.Errorf("since %q: that is no version of Linux", a.Since)
	}
	if c.get != nil {
		a.Size = int(f.Type.Field(0).Type.Size())
		a.get = func(v unsafe.Pointer) (uint64, bool) { return c.get(unsafe.Add(v, f.Offset)) }
	}
	if a.Column != "" && (a.get == nil || a.Doc == "") {
		return errors.New("a column is for an optional number, and needs doc")
	}
	t.known |= a.Field()
	t.list = append(t.list, a)
	attributeSince[a.Name] = cmp.Or(attributeSince[a.Name], a.Since) // a nexthop has those of a route too
	return nil
}

// A decoder decodes an attribute into a field whose address it is given. That the field
// has the decoder's type is what codecs is for: reflect tells type and offset of a field.
type decoder func(field unsafe.Pointer, data []byte) bool

// A codec is the decoder of a type, and how a number of that type is read; nil: it is
// none that a message may have or not.
type codec struct {
	decode decoder
	get    func(field unsafe.Pointer) (uint64, bool)
}

type codecKey struct {
	reflect.Type
	be bool // in network byte order
}

var codecs = map[codecKey]codec{
	{reflect.TypeFor[Opt[uint8]](), false}:  {decodeOpt[uint8], getOpt[uint8]},
	{reflect.TypeFor[Opt[uint16]](), false}: {decodeOpt[uint16], getOpt[uint16]},
	{reflect.TypeFor[Opt[uint32]](), false}: {decodeOpt[uint32], getOpt[uint32]},
	{reflect.TypeFor[Opt[uint64]](), false}: {decodeOpt[uint64], getOpt[uint64]},
	{reflect.TypeFor[Opt[uint16]](), true}:  {decodeOptBE[uint16], getOpt[uint16]},
	{reflect.TypeFor[Opt[uint32]](), true}:  {decodeOptBE[uint32], getOpt[uint32]},
	{reflect.TypeFor[Opt[uint64]](), true}:  {decodeOptBE[uint64], getOpt[uint64]},
	{reflect.TypeFor[uint8](), false}:       {decode: decodeNumber[uint8]},
	{reflect.TypeFor[uint16](), false}:      {decode: decodeNumber[uint16]},
	{reflect.TypeFor[uint32](), false}:      {decode: decodeNumber[uint32]},
	{reflect.TypeFor[netip.Addr](), false}:  {decode: decodeAddr},
	{reflect.TypeFor[string](), false}:      {decode: decodeString},
	{reflect.TypeFor[bool](), false}:        {decode: decodeFlag},
	{reflect.TypeFor[struct{}](), false}:    {decode: decodePadding},
}

type integer interface {
	uint8 | uint16 | uint32 | uint64
}

func decodeNumber[N integer](p unsafe.Pointer, d []byte) bool {
	if len(d) != int(unsafe.Sizeof(N(0))) {
		return false
	}
	// The bytes are in the byte order of the host.
	copy(unsafe.Slice((*byte)(p), unsafe.Sizeof(N(0))), d)
	return true
}

func decodeOpt[N integer](p unsafe.Pointer, d []byte) bool {
	o := (*Opt[N])(p)
	if !decodeNumber[N](unsafe.Pointer(&o.V), d) {
		return false
	}
	o.OK = true
	return true
}

// decodeOptBE is decodeOpt of a number in network byte order.
func decodeOptBE[N uint16 | uint32 | uint64](p unsafe.Pointer, d []byte) bool {
	o := (*Opt[N])(p)
	if len(d) != int(unsafe.Sizeof(o.V)) {
		return false
	}
	o.V, o.OK = 0, true
	for _, c := range d {
		o.V = o.V<<8 | N(c)
	}
	return true
}

func getOpt[N integer](p unsafe.Pointer) (uint64, bool) {
	o := (*Opt[N])(p)
	return uint64(o.V), o.OK
}

func decodeAddr(p unsafe.Pointer, d []byte) bool { return address((*netip.Addr)(p), d) }

func decodeString(p unsafe.Pointer, d []byte) bool { *(*string)(p) = wire.String(d); return true }

// decodeFlag: a flag is there or not, whatever it holds.
func decodeFlag(p unsafe.Pointer, d []byte) bool { *(*bool)(p) = true; return len(d) == 0 }

func decodePadding(_ unsafe.Pointer, d []byte) bool { return len(d) == 0 }

// decode decodes what is wanted of a message. With AllFields, what is not understood is
// appended to unknown.
func (t *attributes[T]) decode(v *T, m *Message, want Fields, unknown []wire.Attr) []wire.Attr {
	if want == AllFields {
		return t.decodeAll(v, m.Attributes(), unknown)
	}
	if m.twice&want != 0 || t.shared != 0 && m.has&want&t.shared == t.shared {
		a := wire.Walk(m.Attributes())
		for a.Next() {
			if want&t.known&fieldOf(a.Type) != 0 {
				t.field[a.Type].set(unsafe.Pointer(v), a.Data)
			}
		}
		return unknown
	}
	for left := m.has & want & t.known; left != 0; left &= left - 1 {
		n := bits.TrailingZeros64(uint64(left))
		t.field[n].set(unsafe.Pointer(v), m.data(n))
	}
	return unknown
}

// decodeAll decodes attributes that were checked, and appends what is not understood. Of
// several of one number the last one counts that is.
func (t *attributes[T]) decodeAll(v *T, b []byte, unknown []wire.Attr) []wire.Attr {
	return decodeAll(&t.field, unsafe.Pointer(v), b, unknown)
}

func decodeAll(fields *[lastField]field, v unsafe.Pointer, b []byte, unknown []wire.Attr) []wire.Attr {
	for {
		typ, n := wire.Head(b) // as wire.Order does, but faster
		if n == 0 {
			return unknown
		}
		data := b[wire.AttrHeaderLen:n]
		b = b[min(wire.Align(n), len(b)):]
		if typ >= lastField || !fields[typ].set(v, data) {
			unknown = append(unknown, wire.Attr{Type: typ, Data: data})
		}
	}
}
