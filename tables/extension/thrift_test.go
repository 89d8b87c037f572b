package extension

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

// callMessage is a call as the generated code writes it.
func callMessage(request map[string]string) []byte {
	args := &osquery.ExtensionCallArgs{Registry: "table", Item: "kernel_routes", Request: request}
	return osquerytest.Message("call", args)
}

// read reads one request of a message.
func read(message []byte) (*request, error) {
	var held atomic.Int64
	r, err := readRequest(bufio.NewReader(bytes.NewReader(message)), &held)
	if err == nil {
		r.done()
	}
	if n := held.Load(); n != 0 {
		return nil, fmt.Errorf("%d bytes are held for ever", n)
	}
	return r, err
}

// extended writes a call with fields and entries that osquery has not today.
func extended(t *testing.T) []byte {
	t.Helper()
	ctx := context.Background()
	buf := thrift.NewTMemoryBuffer()
	out := thrift.NewTBinaryProtocolConf(buf, nil)
	write := func(errs ...error) {
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	text := func(id int16, s string) {
		write(out.WriteFieldBegin(ctx, "", thrift.STRING, id), out.WriteString(ctx, s))
	}
	write(out.WriteMessageBegin(ctx, "call", thrift.CALL, -7))
	text(9, "unknown")
	write(out.WriteFieldBegin(ctx, "", thrift.STRUCT, 10))
	text(1, "within")
	write(out.WriteFieldBegin(ctx, "", thrift.DOUBLE, 2), out.WriteDouble(ctx, 1.5), out.WriteFieldStop(ctx))
	write(out.WriteFieldBegin(ctx, "", thrift.MAP, 11), out.WriteMapBegin(ctx, thrift.I16, thrift.LIST, 2))
	for range 2 {
		write(out.WriteI16(ctx, 3), out.WriteListBegin(ctx, thrift.BOOL, 3))
		write(out.WriteBool(ctx, true), out.WriteBool(ctx, false), out.WriteBool(ctx, true))
	}
	text(2, "kernel_routes")
	text(1, "table")
	write(out.WriteFieldBegin(ctx, "", thrift.I64, 12), out.WriteI64(ctx, 1))
	write(out.WriteFieldBegin(ctx, "", thrift.I32, 3), out.WriteI32(ctx, 1))
	write(out.WriteFieldBegin(ctx, "", thrift.MAP, 3), out.WriteMapBegin(ctx, thrift.STRING, thrift.STRING, 3))
	for _, s := range []string{"action", "generate", "novelty", "1", "context", "{}"} {
		write(out.WriteString(ctx, s))
	}
	write(out.WriteFieldStop(ctx))
	return buf.Bytes()
}

func TestReadRequest(t *testing.T) {
	long := strings.Repeat("0123456789", 100_000)
	call := request{method: "call", seq: 1, registry: "table", item: "kernel_routes", action: "generate", context: "{}"}
	longCall, strange := call, call
	longCall.context = long
	strange.seq = -7
	for name, tc := range map[string]struct {
		message []byte
		want    request
	}{
		"ping": {osquerytest.Message("ping", &osquery.ExtensionPingArgs{}), request{method: "ping", seq: 1}},
		"shutdown": {osquerytest.Message("shutdown", &osquery.ExtensionShutdownArgs{}),
			request{method: "shutdown", seq: 1}},
		"call":     {callMessage(map[string]string{"action": "generate", "context": "{}"}), call},
		"long":     {callMessage(map[string]string{"action": "generate", "context": long}), longCall},
		"extended": {extended(t), strange},
		"something": {osquerytest.Message("something", &osquery.ExtensionCallArgs{Registry: "x"}),
			request{method: "something", seq: 1}},
	} {
		got, err := read(tc.message)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got.done = nil
		if fmt.Sprint(*got) != fmt.Sprint(tc.want) {
			t.Errorf("%s: %.300v, want %.300v", name, *got, tc.want)
		}
		// Each part of it is the beginning of a request that does not come.
		for n := 1; n < min(len(tc.message), 200); n++ {
			if _, err := read(tc.message[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %d bytes of it: %v", name, n, err)
			}
		}
	}
	if _, err := read(nil); err != io.EOF {
		t.Errorf("nothing: %v", err)
	}
}

// lengths are where a call has the length of something.
func lengths(t *testing.T, message []byte, context string) map[string]int {
	t.Helper()
	entries := bytes.Index(message, []byte{thrift.MAP, 0, 3, thrift.STRING, thrift.STRING}) + 5
	at := map[string]int{"method name": 4, "map": entries}
	for _, s := range []string{"table", "kernel_routes", "action", "generate", "context", context} {
		at[s] = bytes.Index(message, append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...))
	}
	for what, i := range at {
		if i < 4 {
			t.Fatalf("no length of %s in %q", what, message)
		}
	}
	return at
}

// TestFalseLengths has calls with one length that is not true.
func TestFalseLengths(t *testing.T) {
	message := callMessage(map[string]string{"action": "generate", "context": "{}"})
	for what, at := range lengths(t, message, "{}") {
		for _, n := range []uint32{1 << 31, 1<<32 - 1, 1<<31 - 1, 12_000_000, maxRequest + 1, maxRequest - 200} {
			m := bytes.Clone(message)
			binary.BigEndian.PutUint32(m[at:], n)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := read(m)
			runtime.ReadMemStats(&after)
			if err == nil || n != maxRequest-200 && errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s of %d is read: %v", what, int32(n), err)
			}
			if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<10 {
				t.Errorf("%s of %d: %d bytes are allocated", what, int32(n), spent)
			}
		}
	}
}

// TestLongTexts: names are short, as answers and the log repeat them, and what is long
// takes little more memory than it has bytes.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("x", maxName+1)
	for what, message := range map[string][]byte{
		"method":   osquerytest.Message(long, &osquery.ExtensionPingArgs{}),
		"registry": osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: long}),
		"item":     osquerytest.Message("call", &osquery.ExtensionCallArgs{Item: long}),
		"action":   callMessage(map[string]string{"action": long}),
		"key":      callMessage(map[string]string{long: "generate"}),
	} {
		if _, err := read(message); err == nil || err.Error() != "a name of 1001 bytes in a request" {
			t.Errorf("%s: %v", what, err)
		}
	}
	const n = 4 << 20
	message := callMessage(map[string]string{"action": "generate", "context": strings.Repeat("x", n)})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := read(message)
	runtime.ReadMemStats(&after)
	if err != nil || len(r.context) != n {
		t.Fatal(err)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 3*n {
		t.Errorf("%d bytes are allocated for %d", spent, n)
	}
}

// Values within values, and lists of nothing, have an end.
func TestNesting(t *testing.T) {
	start := osquerytest.Message("call", &osquery.ExtensionCallArgs{})
	start = start[:bytes.Index(start, []byte{thrift.STRING, 0, 1})]
	list := append(bytes.Clone(start), thrift.LIST, 0, 9)
	for range 1_000_000 {
		list = append(list, thrift.LIST, 0, 0, 0, 1)
	}
	structs := bytes.Clone(start)
	for range 1_000_000 {
		structs = append(structs, thrift.STRUCT, 0, 9)
	}
	endless := append(bytes.Clone(start), thrift.LIST, 0, 9, thrift.STOP, 0x7f, 0xff, 0xff, 0xff)
	for name, tc := range map[string]struct {
		message []byte
		want    string
	}{
		"lists":   {list, "values within values"},
		"structs": {structs, "values within values"},
		"stops":   {append(bytes.Clone(start), thrift.LIST, 0, 9, thrift.STOP, 0, 0, 0, 1), "unknown type"},
		"endless": {endless, "more than 8388608 bytes"},
		"reply":   {bytes.Replace(start, []byte{0x80, 1, 0, 1}, []byte{0x80, 1, 0, 2}, 1), "is no call"},
		"large": {callMessage(map[string]string{"action": "generate", "context": strings.Repeat("x", maxRequest)}),
			"more than 8388608 bytes"},
	} {
		if _, err := read(tc.message); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

// FuzzReadRequest compares with the generated code what that understands.
func FuzzReadRequest(f *testing.F) {
	f.Add(callMessage(map[string]string{"action": "generate", "context": "{}"}))
	f.Add(osquerytest.Message("ping", &osquery.ExtensionPingArgs{}))
	f.Fuzz(func(t *testing.T, message []byte) {
		r, err := read(message)
		if err != nil || r.method != "call" {
			return
		}
		ctx := context.Background()
		buf := thrift.NewTMemoryBuffer()
		buf.Write(message)
		in := thrift.NewTBinaryProtocolConf(buf, nil)
		var args osquery.ExtensionCallArgs
		name, _, seq, err := in.ReadMessageBegin(ctx)
		if err != nil || args.Read(ctx, in) != nil {
			return // Thrift has limits of other kinds
		}
		if name != r.method || seq != r.seq || args.Registry != r.registry || args.Item != r.item ||
			args.Request["action"] != r.action || args.Request["context"] != r.context {
			t.Errorf("%+v, the generated code reads %s %d %+v", r, name, seq, args)
		}
	})
}

// TestMutatedCalls sends thousands of damaged calls, eight at a time, and looks at
// the memory of the process.
func TestMutatedCalls(t *testing.T) {
	m, uuid, _ := registered(t, oneRow(tables.Routes))
	socket := fmt.Sprintf("%s.%d", m.Socket(), uuid)
	context := newReadyTable(1).context()
	message := callMessage(map[string]string{"action": "generate", "context": context})
	spots := []int{}
	for _, at := range lengths(t, message, context) {
		spots = append(spots, at)
	}
	r := rand.New(rand.NewPCG(1, 2))
	mutated := func() []byte {
		b := bytes.Clone(message)
		switch r.IntN(3) {
		case 0: // a length
			binary.BigEndian.PutUint32(b[spots[r.IntN(len(spots))]:], r.Uint32())
		case 1: // any bytes
			for range 1 + r.IntN(8) {
				b[r.IntN(min(len(b), 150))] = byte(r.Uint32())
			}
		case 2: // an end
			b = b[:r.IntN(len(b))]
		}
		return b
	}
	limits := make(chan struct{}, 8)
	peak := peakMemory(t, func() {
		for range 3000 {
			b := mutated()
			limits <- struct{}{}
			go func() {
				defer func() { <-limits }()
				conn, err := net.Dial("unix", socket)
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				conn.Write(b)
				conn.(*net.UnixConn).CloseWrite()
				conn.SetReadDeadline(time.Now().Add(patience))
				if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("no answer and no end: %x", b)
				}
			}()
		}
		for range cap(limits) {
			limits <- struct{}{}
		}
	})
	if peak > 64<<20 {
		t.Errorf("%d MiB of memory", peak>>20)
	}
	if r := query(t, m, "kernel_routes"); r.Status.Code != 0 || len(r.Response) != 1 {
		t.Errorf("afterwards: %v", r)
	}
}

// peakMemory returns by how much more memory than before the process had from the
// system, at the highest, while f ran.
func peakMemory(t *testing.T, f func()) uint64 {
	t.Helper()
	used := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.Sys - m.HeapReleased
	}
	debug.FreeOSMemory()
	before := used()
	peak := before
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for tick := time.NewTicker(time.Millisecond); ; {
			peak = max(peak, used())
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
			}
		}
	}()
	f()
	close(stop)
	<-stopped
	t.Logf("%.1f MiB before, %.1f at the highest", float64(before)/mb, float64(peak)/mb)
	return peak - before
}
