package capture

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// FuzzCapture: a file is refused, or it is a capture whose every route can be
// decoded, which lasts if it is written again, and of which no less is a capture.
// Of a recording less may be one too. Events last as well.
func FuzzCapture(f *testing.F) {
	f.Add(testCapture(f, true))
	f.Add(testCapture(f, false))
	f.Add(followedCapture(f, madeUp(f)))
	for _, file := range containers(f, packetsOf(f, testCapture(f, true))) {
		f.Add(file)
	}
	for _, file := range containers(f, recorded(linkTypeNetlink,
		dumpOf(1, object.DumpRequest{Family: object.IPv4}), linked(2), Done(2, 0),
		slices.Concat(routed(1, object.IPv4, 254, 1), routed(1, object.IPv4, 7, 1)), Done(1, 0),
		dumpOf(3, object.DumpRequest{Table: 7}), routed(3, object.IPv6, 7, 1), Done(3, 0))) {
		f.Add(file)
	}
	files, err := filepath.Glob("../../testdata/captures/*.pcap")
	if err != nil || len(files) == 0 {
		f.Fatal("no captures to begin with: ", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(checkCapture)
}

func checkCapture(t *testing.T, file []byte) {
	c, err := Read(bytes.NewReader(file))
	if err != nil {
		if c != nil || !errors.Is(err, ErrCapture) {
			t.Fatalf("%v, %v", c, err)
		}
		return
	}
	if _, err := Read(bytes.NewReader(file[:len(file)-1])); err == nil && c.coverage == nil {
		t.Fatal("without its last byte it is a capture too")
	}
	s := everything(t, c)
	want := dump(s)
	var b bytes.Buffer
	if err := write(s, &b, Host{}, testNames(t)); err != nil {
		t.Fatal(err)
	}
	s, err = readTest(t, b.Bytes()).Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	if got := dump(s); !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	if !c.followed {
		return
	}
	all := eventsOf(t, c)
	for _, e := range all {
		dump(e.Snapshot())
		dump(e.OldSnapshot())
		if e.Size() < e.Object.Len() {
			t.Fatalf("event %d takes %d bytes", e.Seq, e.Size())
		}
	}
	sameEvents(t, "written again", eventsOf(t, readTest(t, followedCapture(t, all))), all)
}
