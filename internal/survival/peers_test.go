package survival

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nstest"
)

// patience is for what happens soon unless something is broken.
const patience = time.Minute

// newHost moves the test into a namespace with some routes of every kind.
func newHost(t *testing.T) {
	t.Helper()
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "2001:db8::1/64")
	lines := []string{"route add default via 10.0.0.2 metric 100", "route add blackhole 192.0.2.0/24",
		"route add 198.51.100.0/24 via 10.0.0.3 table 1000"}
	for i := range 50 {
		lines = append(lines, fmt.Sprintf("route add 20.0.%d.0/24 via 10.0.0.%d", i, 2+i))
	}
	nstest.Batch(t, "-4", lines...)
	nstest.Batch(t, "-6", "route add default via 2001:db8::2", "route add 2001:db8:1::/48 via 2001:db8::3 table 1000")
}

// socketFolder is a folder with a name that is short enough for sockets.
func socketFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// A client is a connection to the extension, as osquery's.
type client struct {
	*osquery.ExtensionClient
	net.Conn
}

func connect(address string) (*client, error) {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	proto := thrift.NewTBinaryProtocolConf(thrift.NewStreamTransportRW(conn), nil)
	return &client{osquery.NewExtensionClientProtocol(nil, proto, proto), conn}, nil
}

// call calls a table on a connection of its own.
func call(t *testing.T, address, table string, request map[string]string) (*osquery.ExtensionResponse, error) {
	c, err := connect(address)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Call(t.Context(), "table", table, request)
}

// answers fails the test unless the extension answers a ping, and a query with the routes that ip shows.
func answers(t *testing.T, address string) {
	t.Helper()
	c, err := connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if s, err := c.Ping(t.Context()); err != nil || s.Code != 0 {
		t.Fatalf("ping: %v, %v", s, err)
	}
	r, err := c.Call(t.Context(), "table", "kernel_routes",
		exttest.Request(nil, "dst", "dev", "gateway", "table_name"))
	if err != nil || r.Status.Code != 0 {
		t.Fatalf("%v, %v", r, err)
	}
	if got, want := rowsAsText(r.Response), strings.Join(shownByIP(t), "\n"); got != want {
		t.Errorf("routes:\n%.10000s\nip shows:\n%.10000s", got, want)
	}
}

// rowsAsText are routes, a line for each, in any order.
func rowsAsText(rows []map[string]string) string {
	lines := make([]string, len(rows))
	for i, row := range rows {
		lines[i] = fmt.Sprint(row["dst"], " ", row["dev"], " ", row["gateway"], " ", row["table_name"])
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// shownByIP returns the routes that ip shows, a line for each as rowsAsText has it.
func shownByIP(t *testing.T) (all []string) {
	t.Helper()
	for family, every := range map[string]string{"-4": "0.0.0.0/0", "-6": "::/0"} {
		out, err := exec.Command("ip", family, "-j", "route", "show", "table", "all").Output()
		if err != nil {
			t.Fatal(err)
		}
		var routes []struct{ Dst, Dev, Gateway, Table string }
		if err := json.Unmarshal(out, &routes); err != nil {
			t.Fatal(err)
		}
		for _, r := range routes {
			switch {
			case r.Dst == "default":
				r.Dst = every
			case !strings.Contains(r.Dst, "/"):
				r.Dst += map[string]string{"-4": "/32", "-6": "/128"}[family]
			}
			all = append(all, fmt.Sprint(r.Dst, " ", r.Dev, " ", r.Gateway, " ", cmp.Or(r.Table, "main")))
		}
	}
	slices.Sort(all)
	return all
}

// said are the lines of a process that somebody reads: warnings, errors, and the last word.
func said(x *exttest.Process) (lines []string) {
	for line := range strings.Lines(x.Stderr.String()) {
		if !strings.Contains(line, "level=DEBUG") && !strings.Contains(line, "level=INFO") {
			lines = append(lines, line)
		}
	}
	return lines
}

// quiet fails the test if a process has said something.
func quiet(t *testing.T, x *exttest.Process) {
	t.Helper()
	if lines := said(x); len(lines) > 0 {
		t.Errorf("it says, where nothing is wrong: %q", lines)
	}
}

// ends fails the test unless a process ends with status 1 and one line, which has each of the words.
func ends(t *testing.T, x *exttest.Process, words ...string) {
	t.Helper()
	if status := x.Wait(t); status != 1 {
		t.Errorf("exit status %d, want 1\n%s", status, &x.Stderr)
	}
	lines := said(x)
	if len(lines) != 1 {
		t.Errorf("%d lines, want 1: %q", len(lines), lines)
	}
	for _, w := range words {
		if !strings.Contains(strings.Join(lines, ""), w) {
			t.Errorf("no %q in %q", w, lines)
		}
	}
}

// terminates fails the test unless a process ends with status 0 when it is told to.
func terminates(t *testing.T, x *exttest.Process) {
	t.Helper()
	x.Cmd.Process.Signal(os.Signal(terminate))
	if status := x.Wait(t); status != 0 {
		t.Errorf("exit status %d\n%s", status, &x.Stderr)
	}
}
