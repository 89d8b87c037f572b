package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// capturedNamespace makes a namespace with routes of many kinds and returns a
// capture of it.
func capturedNamespace(t testing.TB) []byte {
	nstest.New(t)
	nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", "0")
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd01::1/64")
	nstest.IP(t, "nexthop add id 1 via 10.0.0.2 dev v0")
	nstest.IP(t, "nexthop add id 2 via 10.0.1.2 dev v1")
	nstest.IP(t, "nexthop add id 3 group 1,5/2,9")
	nstest.IP(t, "nexthop add id 4 blackhole")
	nstest.Batch(t, "-4",
		"route add default via 10.0.0.2 metric 100 proto 16",
		"route add 10.1.0.0/16 via 10.0.0.3 mtu lock 1400 congctl reno",
		"route add 10.2.0.0/16 nexthop via 10.0.0.2 weight 3 nexthop via 10.0.1.2",
		"route add 10.3.0.0/16 nhid 1",
		"route add 10.4.0.0/16 nhid 3 table 1000",
		"route add 10.5.0.0/16 nhid 4",
		"route add 10.6.0.0/16 via inet6 fd00::2 dev v0 table 4294967294",
		"route add blackhole 10.7.0.0/16 table 1000",
		"rule add not fwmark 51820 table 51820",
		"rule add table main suppress_prefixlength 0",
		"rule add priority 100 from 10.0.0.0/8 iif v0 oif gone table 1000",
	)
	nstest.Batch(t, "-6",
		"route add default via fd00::2 metric 4294967295",
		"route add fd02::/64 from fd03::/64 via fd00::2",
		"route add fd04::/64 nexthop via fd00::2 nexthop via fd01::2",
		"route add fd05::/64 encap seg6 mode encap segs fd00::9 dev v0",
		"route add unreachable fd06::/64 table 1000",
		"rule add priority 100 to fd00::/64 dport 53 table 1000",
	)
	var b bytes.Buffer
	if err := Write(context.Background(), new(rtnl.Kernel), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// rulesIn returns all that a snapshot knows of rules, in order within each family.
func rulesIn(s *rtnl.Snapshot) (all []string) {
	for r := range rtnl.All(s, object.Rules) {
		all = append(all, fmt.Sprintf("%s %+v", r.AppendID(nil, 0), *r))
	}
	slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(a[:5], b[:5]) })
	return all
}

func TestCaptureAnswersAsTheKernel(t *testing.T) {
	file := capturedNamespace(t)
	c, err := Read(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	link := func(name string) func(*object.Link) bool { return func(l *object.Link) bool { return l.Name == name } }
	v1 := uint32(0)
	for l := range rtnl.All(everything(t, c), object.Links) {
		if l.Name == "v1" {
			v1 = l.Index
		}
	}
	for _, f := range []rtnl.Filter{
		{},
		{Families: []object.Family{object.IPv4}},
		{Families: []object.Family{object.IPv6}},
		{Families: []object.Family{object.IPv4, object.IPv6}},
		{None: true},
		{Tables: []uint32{1000}},
		{Tables: []uint32{255, 254, 4294967294}},
		{Tables: []uint32{7}},
		{Types: []object.RouteType{object.Blackhole}},
		{Types: []object.RouteType{object.Local, object.Unreachable}},
		{Protocols: []uint8{16}},
		{Dsts: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("::/0")}},
		{OIFs: []uint32{v1}},
		{OIFs: []uint32{v1, 1}},
		{Link: link("v0")},
		{Link: link("v1"), OIFs: []uint32{1}},
		{Link: link("nosuch")},
		{Link: link("v1"), Tables: []uint32{254}, Families: []object.Family{object.IPv6}},
	} {
		req := rtnl.RouteRequest(f)
		want, err := new(rtnl.Kernel).Read(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Read(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		if w, g := dump(want), dump(got); !slices.Equal(w, g) {
			t.Errorf("%+v:\nkernel  %s\ncapture %s", f, strings.Join(w, "\n        "), strings.Join(g, "\n        "))
		}
		if !got.Consistent || got.Tries != 0 {
			t.Errorf("%+v: consistent %v after %d tries", f, got.Consistent, got.Tries)
		}
	}
	objects := rtnl.Request{Kinds: []*object.Kind{object.NexthopObjects.Kind}}
	if n, consistent, err := c.Count(context.Background(), objects); n != 4 || !consistent || err != nil {
		t.Errorf("%d nexthop objects, want all 4; consistent %v, error %v", n, consistent, err)
	}
	// Nothing that was not asked for.
	s, err := c.Read(context.Background(), routesAlone(rtnl.Filter{}))
	if err != nil || s.Runs(object.Links.Kind) != nil || s.Runs(object.NexthopObjects.Kind) != nil {
		t.Errorf("links %v, objects %v, error %v", s.Runs(object.Links.Kind), s.Runs(object.NexthopObjects.Kind), err)
	}
	// With Single the kernel may leave out routes that use nexthop objects.
	s, err = c.Read(context.Background(), routesAlone(rtnl.Filter{OIFs: []uint32{v1}, Single: true}))
	if err != nil {
		t.Fatal(err)
	}
	for c := s.Cursor(object.AllFields); c.Next(); {
		if r := c.Route(); r.Multipath != nil || r.OIF.V != v1 && !r.NexthopID.OK {
			t.Errorf("not single and over v1: %+v", *r)
		}
	}
}

// TestCaptureAnswersOfRules is TestCaptureAnswersAsTheKernel of policy rules.
func TestCaptureAnswersOfRules(t *testing.T) {
	c, err := Read(bytes.NewReader(capturedNamespace(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []rtnl.Filter{{}, {Families: []object.Family{object.IPv6}},
		{Families: []object.Family{object.IPv4, object.IPMR}}, {None: true}} {
		req := rtnl.Request{Kinds: []*object.Kind{object.Rules.Kind}, Filter: f}
		want, err := new(rtnl.Kernel).Read(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Read(context.Background(), req)
		if w, g := rulesIn(want), rulesIn(got); err != nil || !slices.Equal(w, g) || !got.Consistent ||
			len(w) == 0 != f.None {
			t.Errorf("%+v: %v\nkernel  %q\ncapture %q", f, err, w, g)
		}
	}
}

func TestCaptureContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := readTest(t, testCapture(t, true)).Read(ctx, rtnl.RouteRequest(rtnl.Filter{})); !canceled(err) {
		t.Errorf("got %v", err)
	}
	nstest.New(t)
	var b bytes.Buffer
	if err := Write(ctx, new(rtnl.Kernel), &b); !canceled(err) || b.Len() > 0 {
		t.Errorf("got %v and %d bytes", err, b.Len())
	}
}

// TestCutCapture cuts a capture everywhere.
func TestCutCapture(t *testing.T) {
	file := capturedNamespace(t)
	for n := 0; n < len(file); n += stride(1, 5) {
		c, err := Read(bytes.NewReader(file[:n]))
		var e *Error
		if c != nil || !errors.As(err, &e) || !errors.Is(err, ErrCapture) || e.Why == "" || e.Remedy == "" {
			t.Fatalf("the first %d of %d bytes: %v", n, len(file), err)
		}
	}
	if _, err := Read(iotest.OneByteReader(bytes.NewReader(file))); err != nil {
		t.Error(err)
	}
}

// TestCaptureHost: a capture says where and when it was made.
func TestCaptureHost(t *testing.T) {
	before := time.Now()
	c, err := Read(bytes.NewReader(capturedNamespace(t)))
	if err != nil {
		t.Fatal(err)
	}
	inode, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	uname, err := exec.Command("uname", "-nrm").Output()
	if err != nil {
		t.Fatal(err)
	}
	h := c.Host()
	want := strings.TrimSpace(string(uname)) + " " + inode
	if got := fmt.Sprintf("%s %s %s net:[%d]", h.Name, h.Kernel, h.Machine, h.NetNS); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if h.Time.Before(before) || h.Time.After(time.Now()) || h.NetNSName != "" {
		t.Errorf("got %+v", h)
	}
	if len(c.Notes()) > 0 || !sameNames(c.Names(), iproute2.HostNames()) {
		t.Errorf("notes %q, names %v", c.Notes(), c.Names())
	}

	// A namespace that ip netns named, as a file that is bound to it.
	dir := t.TempDir()
	if err := os.Symlink("/proc/thread-self/ns/net", filepath.Join(dir, "blue")); err != nil {
		t.Fatal(err)
	}
	if _, name := networkNamespace(dir); name != "blue" {
		t.Errorf("the namespace's name is %q", name)
	}
}

// TestTshark opens captures with Wireshark's command line.
func TestTshark(t *testing.T) {
	checkTshark(t, capturedNamespace(t),
		"Message type: Create network interface",
		"Message type: Add network route",
		"Length of destination: 16",
		"Route type: Gateway or direct route",
		"Message type: End of a dump")
	checkTshark(t, followedCapture(t, madeUp(t)),
		"Message type: Delete network route",
		"Message type: Remove network interface",
		"Message type: Delete IP address",
		"May  4, 2026 03:02:01.000000002 UTC",
		"Message type: End of a dump")
}

// checkTshark has tshark print a capture, without complaints and with some lines.
func checkTshark(t *testing.T, capture []byte, lines ...string) {
	t.Helper()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark: it is not checked that Wireshark opens a capture")
	}
	file := filepath.Join(t.TempDir(), "test.pcap")
	if err := os.WriteFile(file, capture, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tshark, "-r", file, "-V")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range lines {
		if !strings.Contains(string(text), want) {
			t.Errorf("tshark does not print %q", want)
		}
	}
	for _, bad := range []string{"Malformed", "Expert Info"} {
		if i := strings.Index(string(text), bad); i >= 0 {
			t.Errorf("tshark complains: ...%s", text[max(i-1000, 0):min(i+200, len(text))])
		}
	}
}

// TestSavedByWireshark: a capture that editcap, which writes as Wireshark does, has
// made anew is still one, with all that it says, events too.
func TestSavedByWireshark(t *testing.T) {
	editcap, err := exec.LookPath("editcap")
	if err != nil {
		t.Skip("no editcap (of Wireshark): it is not checked that what Wireshark saves can be read")
	}
	dir := t.TempDir()
	made, saved := filepath.Join(dir, "made"), filepath.Join(dir, "saved")
	if err := os.WriteFile(made, capturedNamespace(t), 0o644); err != nil {
		t.Fatal(err)
	}
	want := contents(t, readFile(t, made))
	followed := filepath.Join(dir, "followed")
	if err := os.WriteFile(followed, followedCapture(t, madeUp(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{}, {"-F", "pcapng"}, {"-F", "nsecpcap"}, {"-F", "pcap"}, {"-F", "pcapng", "-a", "3:a comment"},
	} {
		if out, err := exec.Command(editcap, append(args, made, saved)...).CombinedOutput(); err != nil {
			t.Fatalf("editcap %s: %v\n%s", args, err, out)
		}
		if got := contents(t, readFile(t, saved)); !reflect.DeepEqual(got, want) {
			t.Errorf("editcap %s: got %+v, want %+v", args, got, want)
		}
		if out, err := exec.Command(editcap, append(args, followed, saved)...).CombinedOutput(); err != nil {
			t.Fatalf("editcap %s: %v\n%s", args, err, out)
		}
		sameEvents(t, strings.Join(args, " "), eventsOf(t, readFile(t, saved)), madeUp(t))
	}
}

func readFile(t *testing.T, name string) *Capture {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{})); err != nil {
		t.Fatal(err)
	}
	return c
}
