//go:build linux

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/needtest"
)

// commands returns the block of commands of a page that begins with a text.
func commands(t *testing.T, page, begin string) string {
	t.Helper()
	text := read(t, page)
	for _, m := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(m[1], begin) {
			return m[1]
		}
	}
	t.Fatalf("%s has no commands that begin with %s", page, begin)
	return ""
}

// TestByHand runs the installation by hand, twice, in a folder: the binary is what osquery demands, and is listed once.
func TestByHand(t *testing.T) {
	inShells(t, func(t *testing.T, shell string) {
		s := newScratch(t, shell, "systemctl")
		s.program("install", "/bin/install")
		s.script("/bin/systemctl", `echo "systemctl $*" >>/log`) // here it is not the agent's
		s.write("/etc/passwd", "root:x:0:0::/:/bin/sh\n")
		s.write("/etc/group", "root:x:0:\n")
		s.write("/kernel_routes.ext", "the program")
		s.write(load, "/a.ext") // the last line has no end
		for range 2 {
			out, log, err := s.runText("set -e\n" + commands(t, "osquery.md", "install -D "))
			if err != nil || out != "" || log != "systemctl restart osqueryd\n" {
				t.Fatalf("%v, %s%s", err, out, log)
			}
			s.expect(load, "/a.ext\n"+extensionPath+"\n")
			s.expect(extensionPath, "the program")
			if info, err := os.Stat(s.root + extensionPath); err != nil || info.Mode() != 0o755 {
				t.Errorf("%v, %v", info, err)
			}
		}
		if err := os.Remove(s.root + load); err != nil { // as osquery's package leaves it: without a list
			t.Fatal(err)
		}
		if out, _, err := s.runText(commands(t, "osquery.md", "install -D ")); err != nil || out != "" {
			t.Errorf("%v, %s", err, out)
		}
		s.expect(load, extensionPath+"\n")
	})
}

// TestReadmeByHand runs the line of README.md that puts the binary in its place, in a folder.
func TestReadmeByHand(t *testing.T) {
	needtest.Program(t, "dash")
	_, line, ok := strings.Cut(commands(t, "../README.md", "CGO_ENABLED=0 go build -o kernel_routes.ext ."), "\nsudo ")
	if !ok || strings.Count(line, "\n") != 1 {
		t.Fatalf("%q", line)
	}
	s := newScratch(t, "dash")
	s.program("install", "/bin/install")
	s.write("/etc/passwd", "root:x:0:0::/:/bin/sh\n")
	s.write("/etc/group", "root:x:0:\n")
	s.write("/kernel_routes.ext", "the program")
	if out, _, err := s.runText(line); err != nil || out != "" || !strings.Contains(line, " -o root -g root ") {
		t.Fatalf("%s: %v, %s", line, err, out)
	}
	s.expect(extensionPath, "the program")
	if info, err := os.Stat(s.root + extensionPath); err != nil || info.Mode() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestPkill: the pattern is for the extension as osquery starts it, and for no command of a user.
func TestPkill(t *testing.T) {
	m := regexp.MustCompile(`^pkill -f '([^']+)'\n$`).FindStringSubmatch(commands(t, "osquery.md", "pkill "))
	if m == nil {
		t.Fatal("another command")
	}
	pattern := regexp.MustCompile(m[1])
	for line, want := range map[string]bool{
		extensionPath + " --socket /var/osquery/osquery.em --timeout 3 --interval 3": true,
		"vi " + extensionPath:               false,
		extensionPath + ".old --socket x":   false,
		"kernel-routes query SELECT 1":      false,
		"sh -c " + extensionPath + " query": false,
	} {
		if pattern.MatchString(line) != want {
			t.Errorf("%s: %v", line, !want)
		}
	}
}

// TestLists makes the folders of a repository for fleetctl gitops, as the page says: all files that the fleet's
// file names are there.
func TestLists(t *testing.T) {
	dir := t.TempDir()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(here, "..", "packs"), filepath.Join(dir, "packs")); err != nil {
		t.Fatal(err)
	}
	text := commands(t, "fleet.md", "mkdir -p lib/")
	const installed = "/usr/share/doc/kernel-routes/examples/"
	if !strings.Contains(text, installed) {
		t.Errorf("%s", text)
	}
	sh := exec.Command("sh", "-e", "-c", strings.ReplaceAll(text, installed, filepath.Join(here, "examples")+"/"))
	sh.Dir = dir
	if out, err := sh.CombinedOutput(); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	fleet := read(t, "examples/fleet/fleets/linux-servers.yml")
	paths := regexp.MustCompile(`\.\./(lib/\S+)`).FindAllStringSubmatch(fleet, -1)
	if len(paths) < 9 {
		t.Errorf("%d paths", len(paths))
	}
	for _, m := range slices.Concat(paths, [][]string{{"", "lib/kernel-routes/labels.yml"}}) {
		if _, err := os.Stat(filepath.Join(dir, m[1])); err != nil {
			t.Error(err)
		}
	}
}
