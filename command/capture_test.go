package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// TestCaptureCommand asks a capture what it asks the kernel.
func TestCaptureCommand(t *testing.T) {
	fixedNamespace(t)
	file := filepath.Join(t.TempDir(), "routes.pcap")
	if out := run(t, "", "capture", file); out != "" {
		t.Errorf("capture printed %q", out)
	}
	for _, args := range [][]string{
		{"routes"},
		{"routes", "--table", "1000", "--ipv4"},
		{"routes", "--summary"},
		{"query", "SELECT route_id, dst, gateway, dev, encap, snapshot_consistent FROM kernel_routes"},
		{"query", "--csv", "SELECT * FROM kernel_route_nexthops WHERE dev = 'eth0' AND weight > 1"},
	} {
		live := run(t, "", args...)
		if got := run(t, "", append(args, "--from", file)...); got != live || live == "" {
			t.Errorf("%s:\n%s", args, firstDifference(live, got))
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/dev/stdout", "-"} {
		// the time's length
		if out := run(t, "", "capture", name); out[:4] != string(b[:4]) || len(out) < len(b)-10 ||
			len(out) > len(b)+10 {
			t.Errorf("%s: %d bytes, %s: %d bytes", name, len(out), file, len(b))
		}
	}
	if _, err := os.Stat("-"); err == nil {
		t.Error("there is a file -")
	}
	live := run(t, "", "routes")
	if got := run(t, string(b), "routes", "--from", "-"); got != live {
		t.Errorf("standard input:\n%s", firstDifference(live, got))
	}
}

func TestCaptureErrors(t *testing.T) {
	dir := t.TempDir()
	empty, whole := filepath.Join(dir, "empty"), "testdata/captures/ecmp.pcap"
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.pcap")
	if err := os.WriteFile(cut, b[:len(b)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args   []string
		failed bool // else it is the command line's fault
		want   string
	}{
		{[]string{"query", "--from", "nosuch.pcap", "SELECT 1"}, true,
			"capture nosuch.pcap: no such file or directory"},
		{[]string{"query", "--from", dir, "SELECT 1"}, true, "capture " + dir + ": is a directory"},
		{[]string{"query", "--from", empty, "SELECT 1"}, true,
			"capture " + empty + ": the file is empty; make a capture with the capture command"},
		{[]string{"query", "--from", cut, "SELECT * FROM kernel_routes"}, true,
			"capture " + cut + ": it is cut short after "},
		{[]string{"routes", "--from", cut}, true, "make it again with the capture command"},
		{[]string{"routes", "--from", "main.go"}, true, "capture main.go: it is no pcap file; "},
		{[]string{"routes", "--from", ""}, false, "--from is empty"},
		{[]string{"query", "--from", "-"}, false, "--from - reads standard input"},
		{[]string{"capture"}, false, "the name of one file"},
		{[]string{"capture", ""}, false, "the name of one file"},
		{[]string{"capture", "a", "b"}, false, "the name of one file"},
		{[]string{"capture", filepath.Join(dir, "no", "x")}, true, "x: no such file or directory"},
		{[]string{"capture", "/dev/full"}, true, "capture /dev/full: no space left on device"},
	} {
		err := execute(tc.args)
		var f *failure
		if err == nil || !strings.Contains(err.Error(), tc.want) || errors.As(err, &f) != tc.failed {
			t.Errorf("%q: got %v, want %q", tc.args, err, tc.want)
		}
	}
}

// writtenFiles are files that writeTo writes, in a folder of their own and with a umask of 027.
type writtenFiles struct {
	*testing.T
	dir string
}

func newWrittenFiles(t *testing.T) writtenFiles {
	umask := syscall.Umask(0o027)
	t.Cleanup(func() { syscall.Umask(umask) })
	return writtenFiles{t, t.TempDir()}
}

func (f writtenFiles) path(name string) string { return filepath.Join(f.dir, name) }

// write writes s.
func (f writtenFiles) write(name, s string) error {
	return writeTo(f.Context(), f.path(name), func(w io.Writer) error { _, err := io.WriteString(w, s); return err })
}

// mustWrite writes s, which has to succeed.
func (f writtenFiles) mustWrite(name, s string) {
	f.Helper()
	if err := f.write(name, s); err != nil {
		f.Fatal(err)
	}
}

// chmod gives a file another mode.
func (f writtenFiles) chmod(name string, mode fs.FileMode) {
	f.Helper()
	if err := os.Chmod(f.path(name), mode); err != nil {
		f.Fatal(err)
	}
}

// check compares what a file holds, and its mode.
func (f writtenFiles) check(name, want string, mode fs.FileMode) {
	f.Helper()
	b, err := os.ReadFile(f.path(name))
	if err != nil || string(b) != want {
		f.Errorf("%s: got %q, %v; want %q", name, b, err, want)
	}
	if info, err := os.Stat(f.path(name)); err != nil || info.Mode() != mode {
		f.Errorf("%s: mode %v, %v; want %v", name, info.Mode(), err, mode)
	}
}

// nothingLeft: no file is there under a name of its own while it is written.
func (f writtenFiles) nothingLeft() {
	f.Helper()
	for _, pattern := range []string{".*", "*/.*"} {
		if left, err := filepath.Glob(f.path(pattern)); err != nil || len(left) > 0 {
			f.Errorf("left behind: %s, %v", left, err)
		}
	}
}

// TestWriteTo: a file is what it was, or a whole capture.
func TestWriteTo(t *testing.T) {
	f := newWrittenFiles(t)
	f.mustWrite("new", "a")
	f.check("new", "a", 0o640)
	f.chmod("new", 0o604)
	f.mustWrite("new", "b")
	f.check("new", "b", 0o604)
	broken := errors.New("broken")
	err := writeTo(t.Context(), f.path("new"), func(w io.Writer) error { io.WriteString(w, "c"); return broken })
	if err != broken {
		t.Errorf("got %v", err)
	}
	f.check("new", "b", 0o604)

	// Interrupted.
	ended, cancel := context.WithCancel(t.Context())
	err = writeTo(ended, f.path("new"), func(w io.Writer) error {
		cancel()
		time.Sleep(10 * time.Millisecond)
		return ended.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	f.check("new", "b", 0o604)

	// An open file has no place of its own.
	open, err := os.Create(f.path("open"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	text := func(w io.Writer) error { _, err := io.WriteString(w, "f"); return err }
	if err := writeTo(t.Context(), fmt.Sprintf("/dev/fd/%d", open.Fd()), text); err != nil {
		t.Fatal(err)
	}
	if info, err := open.Stat(); err != nil || info.Size() != 1 {
		t.Errorf("an open file: %v", err)
	}
	f.nothingLeft()
}

// TestWriteToLink: the file that a link stands for is replaced, not the link.
func TestWriteToLink(t *testing.T) {
	f := newWrittenFiles(t)
	f.mustWrite("new", "b")
	f.chmod("new", 0o604)
	if err := os.Mkdir(f.path("links"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"links/one": "../new", "two": "links/one", "dangling": "links/made"} {
		if err := os.Symlink(to, f.path(link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"two", "dangling"} {
		f.mustWrite(link, "d")
		if info, err := os.Lstat(f.path(link)); err != nil || info.Mode().Type() != fs.ModeSymlink {
			t.Errorf("%s is no link any more", link)
		}
	}
	f.check("new", "d", 0o604)
	f.check("links/made", "d", 0o640)
	if err := os.Symlink("loop", f.path("loop")); err != nil {
		t.Fatal(err)
	}
	if err := f.write("loop", "e"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop of links: %v", err)
	}
	f.nothingLeft()
}

// TestWriteToUnprivileged: where no other file can be made the old one stays, as does one
// that may not be written.
func TestWriteToUnprivileged(t *testing.T) {
	f := newWrittenFiles(t)
	f.mustWrite("new", "d")
	if err := os.Mkdir(f.path("folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.mustWrite("folder/made", "d")
	f.chmod("new", 0o400)
	f.chmod("folder", 0o500)
	t.Run("without capabilities", func(t *testing.T) {
		runtime.LockOSThread() // it ends without its capabilities
		var none [2]unix.CapUserData
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
			t.Fatal(err)
		}
		err := f.write("folder/made", "e")
		if !errors.Is(err, syscall.EACCES) || !strings.Contains(err.Error(), "in its folder") {
			t.Errorf("a folder that may not be written: %v", err)
		}
		if err := f.write("new", "e"); !errors.Is(err, syscall.EACCES) {
			t.Errorf("a file that may not be written: %v", err)
		}
	})
	f.check("new", "d", 0o400)
	f.check("folder/made", "d", 0o640)
	f.nothingLeft()
}

// TestCaptureFullDisk: the old file stays as it is.
func TestCaptureFullDisk(t *testing.T) {
	fixedNamespace(t)
	dir := t.TempDir()
	const sh = `mount -t tmpfs -o size=256k none "$1" && cd "$1" && umask 077 && echo old > routes.pcap &&
		head -c 200000 /dev/zero > filler; "$2" capture routes.pcap; echo "$?"; cat routes.pcap; ls -A; echo;
		rm filler; "$2" capture routes.pcap; echo "$?"; stat -c %a routes.pcap; ls -A`
	nstest.Batch(t, "-4", many("route add blackhole 10.%d.%d.0/24", 1000)...)
	cmd := exec.Command("unshare", "-m", "sh", "-c", sh, "sh", dir, binary(t))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	const want = "1\nold\nfiller\nroutes.pcap\n\n0\n600\nroutes.pcap\n"
	if err != nil || string(out) != want {
		t.Errorf("%v: got %q, want %q; %s", err, out, want, &stderr)
	}
	if !strings.Contains(stderr.String(), program+": capture routes.pcap: no space left on device\n") {
		t.Errorf("got %s", &stderr)
	}
}

// TestCaptureOntoMount: a file that no other one can replace stays as it is, and the
// way out leads into it.
func TestCaptureOntoMount(t *testing.T) {
	fixedNamespace(t)
	const sh = `cd "$1" && echo old > f && mount --bind f f && {
		"$2" capture f; echo "$?"; cat f; ls -A;
		"$2" capture - > f && "$2" query --csv --from f "SELECT count(*) > 0 AS ok FROM kernel_routes"; }`
	cmd := exec.Command("unshare", "-m", "sh", "-c", sh, "sh", t.TempDir(), binary(t))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if want := "1\nold\nf\nok\n1\n"; err != nil || string(out) != want {
		t.Errorf("%v: got %q, want %q", err, out, want)
	}
	if !strings.Contains(stderr.String(),
		"which cannot take its place: device or resource busy; give another name, or - ") {
		t.Errorf("got %s", &stderr)
	}
}

// TestNotConsistent: what the rows say in snapshot_consistent is said where there are
// no rows, too.
func TestNotConsistent(t *testing.T) {
	b, err := os.ReadFile("testdata/captures/host-names.pcap")
	if err != nil {
		t.Fatal(err)
	}
	const before = 4 + 4 + unix.NLMSG_HDRLEN // the text of NLMSG_DONE: error, attribute
	b[bytes.LastIndex(b, []byte("kernel_routes capture of "))-before+6] |= unix.NLM_F_DUMP_INTR
	for sql, want := range map[string]string{
		"SELECT count(*) > 0 AS n, max(snapshot_consistent) AS c FROM kernel_routes": "n,c\n1,0\n",
		"SELECT dst FROM kernel_routes WHERE metric = 77":                            "dst\n",
	} {
		out, stderr, status := command(t, bytes.NewReader(b), "query", "--csv", "--from", "-", sql)
		made := program + ": warning: capture from standard input: routes changed faster than they could be read"
		asked := "\n" + program + ": warning: kernel_routes: routes changed while they were read, or"
		if status != exitOK || out != want || !strings.HasPrefix(stderr, made) || strings.Count(stderr, asked) != 1 {
			t.Errorf("%s: %d, %q, %s", sql, status, out, stderr)
		}
	}
}

func many(format string, n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf(format, i/256, i%256))
	}
	return lines
}

// TestCaptureNames: what a capture says is what its host said.
func TestCaptureNames(t *testing.T) {
	fixedNamespace(t)
	file := filepath.Join(t.TempDir(), "routes.pcap")
	const sh = `mount -t tmpfs none /etc && mkdir /etc/iproute2 && cd /etc/iproute2 &&
		printf '254 main\n1000 hosta\n' > rt_tables && printf '186 borderway\n' > rt_protos && "$@"`
	onHost := func(args ...string) string {
		cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c", sh, "sh", binary(t)}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", args, err, out)
		}
		return string(out)
	}
	const sql = "SELECT table_name, protocol, dst FROM kernel_routes WHERE table_name IN ('hosta', 'main') AND " +
		"protocol <> 'kernel' ORDER BY dst, metric, table_name"
	want := onHost("query", "--csv", sql)
	if !strings.Contains(want, "hosta,boot,0.0.0.0/0") || !strings.Contains(want, "main,borderway,10.0.0.0/8") {
		t.Fatalf("the host says\n%s", want)
	}
	onHost("capture", file)
	if got, stderr, _ := command(t, nil, "query", "--csv", "--from", file, sql); got != want || stderr != "" {
		t.Errorf("%s\n%s", stderr, firstDifference(want, got))
	}
	got, _, _ := command(t, nil, "routes", "--from", file, "--table", "hosta")
	if !strings.Contains(got, `"203.0.113.1"`) {
		t.Errorf("routes --table hosta: %s", got)
	}
	// A file of before says that the names are the reader's.
	_, stderr, _ := command(t, nil, "query", "--from", "testdata/captures/ecmp.pcap", "SELECT 1")
	if line := program + ": warning: capture testdata/captures/ecmp.pcap: it does not hold " +
		"the names"; !strings.HasPrefix(stderr, line) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("got %q", stderr)
	}
}
