package events

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// storedRoute makes a message about a route to one of some destinations, with an attribute of so
// many bytes that is not known.
func storedRoute(t *testing.T, dst, number, size int) (m object.Message) {
	r := nltest.V4()
	*r = object.Route{Family: object.IPv4, Table: 254, Type: object.Unicast,
		Dst: nltest.V4().Dst, Priority: object.Some(uint32(number)),
		Unknown: []wire.Attr{{Type: 63, Data: make([]byte, size)}}}
	a := r.Dst.Addr().As4()
	a[3], a[2], a[1] = byte(dst), byte(dst>>8), byte(dst>>16)
	msg := nltest.Padded(object.Routes.New, 0, 0, nltest.AppendRoute(nil, r))
	copy(msg[wire.HeaderLen:], []byte{byte(object.IPv4), 32})
	i := bytes.Index(msg, r.Dst.Addr().AsSlice())
	copy(msg[i:], a[:])
	if _, ok := checked(&m, msg); !ok {
		t.Fatalf("%x is no route", msg)
	}
	return m
}

// A model of a store: what each key has.
type storeModel map[key][]string

// TestStoreModel compares a store with a map, while routes come and go.
func TestStoreModel(t *testing.T) {
	for _, test := range []struct {
		name               string
		keys, most, size   int // no keys: anyRoute
		changes, compacted int
	}{
		{"either family", 0, 4000, 0, 20_000, 0},
		{"few keys", 3, 40, 20, 20_000, 0},
		{"many keys", 2000, 3000, 40, 20_000, 0},
		{"one key", 1, 600, 8, 3000, 0},
		{"across chunks", 50, 300, 9000, 3000, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			s, model := newStore(), storeModel{}
			number, compacted := 0, 0
			for i := range nstest.Amount(test.changes, test.changes/5) {
				number++
				m := anyRoute(t, r)
				if test.keys > 0 {
					route := storedRoute(t, r.IntN(test.keys), number, r.IntN(test.size))
					m = &route
				}
				k := keyOf(m)
				group := s.group(nil, &k)
				text := payloadOf(m)
				at := r.IntN(len(group) + 1)
				switch verb := r.IntN(4); {
				case verb == 0 && at < len(group):
					s.replace(group[at], m)
					model[k][at] = text
				case at < len(group) && (verb == 1 || s.count >= test.most):
					s.remove(group[at])
					model[k] = slices.Delete(model[k], at, at+1)
				case at < len(group):
					s.add(m, group[at])
					model[k] = slices.Insert(model[k], at, text)
				default:
					s.add(m, 0)
					model[k] = append(model[k], text)
				}
				used := s.used
				s.compact()
				if s.used < used {
					compacted++
				}
				if i%500 == 0 {
					model.compare(t, s)
				}
			}
			model.compare(t, s)
			if compacted < test.compacted && !testing.Short() {
				t.Errorf("compacted %d times", compacted)
			}
		})
	}
}

func payloadOf(m *object.Message) string { return string(wire.Payload(m.AppendLasting(nil))) }

func (model storeModel) compare(t *testing.T, s *store) {
	t.Helper()
	n := 0
	var m object.Message
	var route object.Route
	for k, want := range model {
		var got []string
		for _, r := range s.group(nil, &k) {
			s.message(&m, r)
			if route.Decode(&m, object.FieldID); route.IdentityHash() != s.exact(r) {
				t.Fatalf("%v has another identity", m.RoutePrefix())
			}
			got = append(got, payloadOf(&m))
		}
		if n += len(want); !slices.Equal(got, want) {
			t.Fatalf("a key has %d routes, not %d, or others", len(got), len(want))
		}
	}
	all := 0
	for range s.all {
		all++
	}
	if all != n || s.count != n {
		t.Fatalf("%d routes, %d counted, not %d", all, s.count, n)
	}
}

// TestStoreShrinks gives memory back.
func TestStoreShrinks(t *testing.T) {
	s := newStore()
	const n = 100_000
	for i := range n {
		m := storedRoute(t, i, 1, 60)
		s.add(&m, 0)
	}
	full := len(s.chunks)
	for i := range n - 10 {
		m := storedRoute(t, i, 1, 60)
		k := keyOf(&m)
		s.remove(s.group(nil, &k)[0])
		s.compact()
	}
	if full < 2 || len(s.chunks) != 1 || s.count != 10 || len(s.buckets) > n/4 {
		t.Errorf("%d chunks of %d are left, %d routes, %d buckets", len(s.chunks), full, s.count, len(s.buckets))
	}
	for i := n - 10; i < n; i++ {
		m := storedRoute(t, i, 1, 60)
		k := keyOf(&m)
		if got := s.group(nil, &k); len(got) != 1 {
			t.Error(fmt.Sprint(i, " is there ", len(got), " times"))
		}
	}
}
