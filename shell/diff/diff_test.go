package diff

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell"
	"kernelroutes/shell/option"
	"kernelroutes/tables"
)

func TestMain(m *testing.M) { nstest.Main(m) }

// taken captures the namespace of the test.
func taken(t *testing.T, name string) State {
	t.Helper()
	var file bytes.Buffer
	if err := capture.Write(t.Context(), &rtnl.Kernel{}, &file); err != nil {
		t.Fatal(err)
	}
	c, err := capture.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	return State{Source: c, Name: name, Kernel: c.Host().Kernel}
}

// live is what the kernel has now.
func live(t *testing.T) State {
	cache := &rtnl.Cache{}
	t.Cleanup(func() { cache.Close() })
	return State{Source: cache, Name: "the kernel"}
}

// printed returns the lines that Print prints, and its warnings.
func printed(t *testing.T, was, now State, opts Options) (lines, warnings []string) {
	t.Helper()
	var out bytes.Buffer
	opts.Warn = func(text string) { warnings = append(warnings, text) }
	if err := Print(t.Context(), &out, was, now, opts); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), warnings
}

// hosts makes the interfaces of a namespace, in an order.
func hosts(t *testing.T, names ...string) {
	t.Helper()
	nstest.New(t)
	for _, name := range names {
		nstest.IP(t, "link add "+name+" type veth peer name "+name+"p")
		for _, end := range []string{name, name + "p"} {
			nstest.IP(t, "link set "+end+" addrgenmode none")
			nstest.IP(t, "link set "+end+" up")
		}
		nstest.WaitUp(t, name, name+"p")
		nstest.WaitRoutes(t, "multicast ff00::/8 dev "+name+" ", "multicast ff00::/8 dev "+name+"p ")
	}
	nstest.IP(t, "addr add 10.0.0.1/24 dev v0")
	nstest.IP(t, "addr add fd00::1/64 dev v0 nodad")
	nstest.WaitRoutes(t, "local fd00::1 dev v0 ")
}

func routing(t *testing.T) {
	t.Helper()
	nstest.Batch(t, "-4",
		"route add default via 10.0.0.2 proto dhcp metric 100",
		"route add 10.1.0.0/16 via 10.0.0.2 proto static",
		"route add 10.2.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.0.3 weight 2",
		"route add 10.3.0.0/16 via 10.0.0.2",
		"route append 10.3.0.0/16 via 10.0.0.3",
		"route add 10.3.0.0/16 via 10.0.0.2 table 7",
		"route add 9.0.0.0/8 via 10.0.0.2",
		"rule add pref 100 from 10.9.0.0/16 lookup 7",
		"rule add pref 100 from 10.8.0.0/16 lookup 7",
		"rule add pref 99 fwmark 1 lookup 8",
		"nexthop add id 1 via 10.0.0.2 dev v0",
		"nexthop add id 2 via 10.0.0.3 dev v0",
	)
	nstest.IP(t, "nexthop add id 10 group 1/2") // which has no family
	nstest.IP(t, "route add 10.4.0.0/16 nhid 10")
	nstest.Batch(t, "-6",
		"route add fd01::/64 via fd00::2",
		"route add fd02::/64 via fd00::2 pref high",
	)
}

// TestFlags: a change of flags is told once, by their names.
func TestFlags(t *testing.T) {
	hosts(t, "v0")
	nstest.IP(t, "route add 10.1.0.0/16 via 10.0.0.2")
	was := taken(t, "was")
	nstest.IP(t, "route replace 10.1.0.0/16 via 10.0.0.2 dev v0 onlink")
	lines, _ := printed(t, was, live(t), Options{})
	want := []string{"changed route ipv4 main 10.1.0.0/16 via 10.0.0.2 dev v0 proto boot, flag_names none -> onlink",
		"0 appeared, 0 vanished, 1 changed"}
	if !slices.Equal(lines, want) {
		t.Errorf("%q instead of %q", lines, want)
	}
}

// TestExpires: whether a route has a lifetime is compared, but not how much of it is left.
func TestExpires(t *testing.T) {
	hosts(t, "v0")
	nstest.Batch(t, "-6",
		"route add fd05::/64 via fd00::2 expires 10000",
		"route add fd06::/64 via fd00::2 expires 10000",
	)
	was := taken(t, "was")
	nstest.IP(t, "-6 route change fd05::/64 via fd00::2")
	nstest.IP(t, "-6 route change fd06::/64 via fd00::2 expires 5000")
	now := taken(t, "now")
	mirrored(t, was, now)
	lines, _ := printed(t, was, now, Options{})
	const route = "changed route ipv6 main fd05::/64 via fd00::2 dev v0 proto boot metric 1024, expires "
	const end = " -> none"
	if len(lines) != 2 || !strings.HasPrefix(lines[0], route) || !strings.HasSuffix(lines[0], end) {
		t.Errorf("%q", lines)
	}
}

// TestObjectsAside: what nexthop objects tell is told of their routes where the options leave the objects out.
func TestObjectsAside(t *testing.T) {
	hosts(t, "v0")
	nstest.Batch(t, "-4",
		"nexthop add id 1 via 10.0.0.2 dev v0",
		"nexthop add id 2 via 10.0.0.3 dev v0",
		"route add 10.1.0.0/16 nhid 1",
	)
	for _, command := range []string{
		"nexthop add id 10 group 1/2", // which has no family
		"nexthop add id 20 group 1,3/2",
		"-6 nexthop add id 6 via fd00::2 dev v0",
		"route add 10.2.0.0/16 nhid 10",
		"route add 10.3.0.0/16 nhid 20 table 7",
		"route add 10.6.0.0/16 nhid 6",
	} {
		nstest.IP(t, command)
	}
	was := taken(t, "was")
	nstest.IP(t, "nexthop replace id 1 via 10.0.0.9 dev v0")
	nstest.IP(t, "nexthop replace id 20 group 2")
	nstest.IP(t, "-6 nexthop replace id 6 via fd00::9 dev v0")
	main := []string{
		"changed route ipv4 main 10.1.0.0/16 via 10.0.0.9 dev v0 nhid 1 proto boot, was via 10.0.0.2",
		"changed route ipv4 main 10.2.0.0/16 nexthop via 10.0.0.9 dev v0 weight 1 " +
			"nexthop via 10.0.0.3 dev v0 weight 1 nhid 10 proto boot, was nexthop via 10.0.0.2 dev v0 weight 1",
	}
	through6 := "changed route ipv4 main 10.6.0.0/16 via fd00::9 dev v0 nhid 6 proto boot, was via fd00::2"
	for _, test := range []struct {
		opts Options
		want []string
	}{
		{Options{}, []string{"changed nexthop 1 ", "changed nexthop 6 ", "changed nexthop 20 ",
			"0 appeared, 0 vanished, 3 changed"}},
		{Options{Table: "main"}, append(main, through6, "0 appeared, 0 vanished, 3 changed")},
		{Options{Table: "7"}, []string{"changed route ipv4 7 10.3.0.0/16 via 10.0.0.3 dev v0 nhid 20 proto boot, ",
			"0 appeared, 0 vanished, 1 changed"}},
		{Options{Family: object.IPv4}, []string{through6, "changed nexthop 1 ", "changed nexthop 20 ",
			"0 appeared, 0 vanished, 3 changed"}},
		{Options{Family: object.IPv6}, []string{"changed nexthop 6 ", "changed nexthop 20 ",
			"0 appeared, 0 vanished, 2 changed"}},
	} {
		if lines, _ := printed(t, was, live(t), test.opts); !slices.EqualFunc(lines, test.want, strings.HasPrefix) {
			t.Errorf("%+v:\n%s", test.opts, strings.Join(lines, "\n"))
		}
	}
}

// TestChanges: each change is told, in the words of the monitor, and the other way around too.
func TestChanges(t *testing.T) {
	hosts(t, "v0", "v1")
	routing(t)
	was := taken(t, "was")
	nstest.Batch(t, "-4",
		"route replace default via 10.0.0.9 proto dhcp metric 100",
		"route change 10.1.0.0/16 via 10.0.0.2 proto static mtu 1400",
		"route replace 10.2.0.0/16 nexthop via 10.0.0.3 weight 2 nexthop via 10.0.0.2 nexthop via 10.0.0.4",
		"route del 10.3.0.0/16 via 10.0.0.3",
		"route replace blackhole 10.3.0.0/16 table 7",
		"route del 9.0.0.0/8",
		"route add 9.128.0.0/9 via 10.0.0.2",
		"rule del pref 100 from 10.9.0.0/16",
		"rule add pref 100 from 10.9.0.0/16 lookup 9",
		"rule del pref 99",
	)
	nstest.IP(t, "nexthop replace id 10 group 1,3/2")
	nstest.IP(t, "-6 route replace fd01::/64 via fd00::3")
	nstest.IP(t, "-6 route append fd02::/64 via fd00::3 pref high")
	nstest.Sysctl(t, "net.ipv4.conf.v1.forwarding", "1")
	want := []string{
		"vanished rule ipv4 99 fwmark 0x1 lookup 8 proto unspec",
		"changed rule ipv4 100 from 10.9.0.0/16 lookup 9 proto unspec, was lookup 7, place 1 -> 2",
		"changed route ipv4 7 blackhole 10.3.0.0/16 proto boot, was via 10.0.0.2 dev v0, type unicast -> blackhole, " +
			"nexthop_count 1 -> 0",
		"changed route ipv4 main default via 10.0.0.9 dev v0 proto dhcp metric 100, was via 10.0.0.2",
		"vanished route ipv4 main 9.0.0.0/8 via 10.0.0.2 dev v0 proto boot",
		"appeared route ipv4 main 9.128.0.0/9 via 10.0.0.2 dev v0 proto boot",
		"changed route ipv4 main 10.1.0.0/16 via 10.0.0.2 dev v0 proto static mtu 1400, mtu none -> 1400",
		"changed route ipv4 main 10.2.0.0/16 nexthop via 10.0.0.3 dev v0 weight 2 nexthop via 10.0.0.2 dev v0 " +
			"weight 1 nexthop via 10.0.0.4 dev v0 weight 1 proto boot, nexthop_count 2 -> 3, " +
			"nexthop gateway 10.0.0.2,10.0.0.3 -> 10.0.0.2,10.0.0.3,10.0.0.4",
		"vanished route ipv4 main 10.3.0.0/16 via 10.0.0.3 dev v0 proto boot",
		"changed route ipv6 main fd01::/64 via fd00::3 dev v0 proto boot metric 1024, was via fd00::2",
		"changed route ipv6 main fd02::/64 nexthop via fd00::2 dev v0 weight 1 nexthop via fd00::3 dev v0 weight 1 " +
			"proto boot metric 1024, was via fd00::2 dev v0, nexthop_count 1 -> 2",
		"changed nexthop 10 group 1,3/2 proto unspec, was group 1/2",
		"changed interface v1 ipv4, forwarding 0 -> 1, effective_forwarding 0 -> 1",
		"1 appeared, 3 vanished, 9 changed",
	}
	for name, now := range map[string]State{"the kernel": live(t), "a capture": taken(t, "now")} {
		lines, warnings := printed(t, was, now, Options{})
		if len(warnings) > 0 {
			t.Errorf("%s: warned of %q", name, warnings)
		}
		for i, line := range lines {
			if i >= len(want) || line != want[i] {
				t.Errorf("%s: line %d: %s", name, i, line)
			}
		}
	}
	now := taken(t, "now")
	mirrored(t, was, now)
	for _, s := range []State{was, now} {
		if lines, _ := printed(t, s, s, Options{}); !slices.Equal(lines, []string{"no differences"}) {
			t.Errorf("with itself: %q", lines)
		}
	}
	chosen(t, was, now)
}

// mirrored checks that the differences in the other direction are the same ones.
func mirrored(t *testing.T, was, now State) {
	t.Helper()
	there, back := differences(t, was, now), differences(t, now, was)
	turned := map[string]string{appeared: vanished, vanished: appeared, changed: changed}
	key := func(x *jsonDifference) string {
		text, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var a, b []string
	for i := range there {
		a = append(a, key(&there[i]))
	}
	for _, x := range back {
		x.Change, x.Was, x.Now = turned[x.Change], x.Now, x.Was
		b = append(b, key(&x))
	}
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Errorf("forward:\n%s\nbackward:\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
}

func differences(t *testing.T, was, now State) (all []jsonDifference) {
	t.Helper()
	lines, _ := printed(t, was, now, Options{JSON: true})
	if err := json.Unmarshal([]byte(strings.Join(lines, "\n")), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// chosen checks what the options leave.
func chosen(t *testing.T, was, now State) {
	t.Helper()
	for _, test := range []struct {
		opts Options
		want []string // what the lines begin with, and the counts
	}{
		{Options{Family: object.IPv6}, []string{"changed route ipv6", "changed route ipv6", "changed nexthop 10",
			"0 appeared, 0 vanished, 3 changed"}},
		{Options{Table: "7"}, []string{"changed rule ipv4 100", "changed route ipv4 7", "0 appeared, 0 vanished, 2"}},
		{Options{Table: "9"}, []string{"changed rule ipv4 100", "0 appeared, 0 vanished, 1 changed"}},
		{Options{Table: "main", Family: object.IPv6}, []string{"changed route ipv6", "changed route ipv6", "0"}},
		{Options{Table: "77"}, []string{"no differences"}},
	} {
		lines, _ := printed(t, was, now, test.opts)
		if !slices.EqualFunc(lines, test.want, strings.HasPrefix) {
			t.Errorf("%+v: %q", test.opts, lines)
		}
	}
	var bad *option.Error
	opts := Options{Table: "nope", Warn: func(string) {}}
	if err := Print(t.Context(), &bytes.Buffer{}, was, now, opts); !errors.As(err, &bad) {
		t.Errorf("of a table that there is not: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	opts.Table = ""
	if err := Print(ended, &bytes.Buffer{}, was, now, opts); !errors.Is(err, shell.ErrInterrupted) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestOtherHost: a host that has the same routing with other indexes is no different.
func TestOtherHost(t *testing.T) {
	var states []State
	for _, order := range [][]string{{"v0", "v1"}, {"v1", "v2", "v0"}} {
		t.Run(strings.Join(order, " "), func(t *testing.T) {
			hosts(t, order...)
			routing(t)
			if len(order) > 2 {
				nstest.IP(t, "link del v2")
			}
			states = append(states, taken(t, order[0]))
		})
	}
	if len(states) < 2 {
		return
	}
	lines, warnings := printed(t, states[0], states[1], Options{})
	if !slices.Equal(lines, []string{"no differences"}) || warnings != nil {
		t.Errorf("%q, %q", lines, warnings)
	}
}

// TestWhichOfSeveral: of routes with one key those that are as they were are themselves, and one is
// no other because it has the same key.
func TestWhichOfSeveral(t *testing.T) {
	entries := func(text string) (all []entry) {
		for i, word := range strings.Fields(text) { // key, value, likeness
			all = append(all, entry{key: word[:1], value: uint64(word[1]), like: uint64(word[2]), index: i, is: true})
		}
		return all
	}
	for _, test := range []struct {
		was, now string
		want     []pair
	}{
		{"", "", nil},
		{"a1x b1x", "a1x b1x", nil},
		{"a1x", "b1x", []pair{{0, -1}, {-1, 0}}},
		{"a1x", "a2y", []pair{{0, 0}}},
		{"a1x a2y", "a2y a1x", nil},
		{"a1x a1x", "a1x", []pair{{1, -1}}},
		{"a1x a2y", "a2y a3z", []pair{{0, -1}, {-1, 1}}},
		{"a1x a2y", "a2y a3x", []pair{{0, 1}}},
		{"a1x", "a2y a3z", []pair{{0, -1}, {-1, 0}, {-1, 1}}},
		{"b1x c1x", "a1x c2x d1x", []pair{{-1, 0}, {0, -1}, {1, 1}, {-1, 2}}},
	} {
		f := &finder{thing: &thing{}}
		if f.match(entries(test.was), entries(test.now)); !slices.Equal(f.pairs, test.want) {
			t.Errorf("%q, %q: %v, want %v", test.was, test.now, f.pairs, test.want)
		}
	}
}

// TestDeclarations: the columns that are named are there.
func TestDeclarations(t *testing.T) {
	for _, x := range things {
		for _, name := range slices.Concat(x.key, x.alike, x.aside, x.without, x.member) {
			if x.Column(name) < 0 {
				t.Errorf("%s has no column %s", x.Name, name)
			}
		}
	}
	for _, name := range partsAside {
		if tables.Nexthops.Column(name) < 0 && tables.NexthopObjects.Column(name) < 0 {
			t.Errorf("no part has a column %s", name)
		}
	}
	if tables.Routes.Column(hopCount) < 0 {
		t.Error("routes do not tell how many nexthops they have")
	}
}

// An empty source has nothing.
type empty struct{ tables.Source }

func (empty) Read(context.Context, rtnl.Request) (*rtnl.Snapshot, error) {
	return rtnl.NewSnapshot(true, nil), nil
}
