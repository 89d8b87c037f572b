//go:build linux

package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kernelroutes/internal/needtest"
)

// tools are the programs that the scripts may use. Any other is not found.
var tools = []string{"cat", "chmod", "chown", "cp", "grep", "id", "mkdir", "mv", "rm", "tail"}

// standIns write into /log what they were called with.
var standIns = map[string]string{
	"systemd-run": `echo "systemd-run $*" >>/log`,
	"systemctl":   `echo "systemctl $*" >>/log; exit 1 # would end the script with its agent`,
	"apt-get":     `echo "apt-get $*" >>/log`,
	"rpm":         `echo "rpm $*" >>/log; [ "$1" != --query ] || [ -e /installed ]`,
	"dnf":         `echo "dnf $*" >>/log`,
	"zypper":      `echo "zypper $*" >>/log`,
	"dpkg-query":  `echo "dpkg-query $*" >>/log; [ -e /installed ]`,
}

// A scratch is a root folder with nothing in it but a shell and the tools.
type scratch struct {
	t    *testing.T
	root string
	env  []string
}

// newScratch makes a root with the stand-ins.
func newScratch(t *testing.T, shell string, standIn ...string) *scratch {
	t.Helper()
	s := &scratch{t: t, root: t.TempDir()}
	for _, dir := range []string{"bin", "dev", "tmp", "etc", "scripts"} {
		if err := os.Mkdir(filepath.Join(s.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("/dev/null", "")
	s.write("/log", "")
	s.program(shell, "/bin/sh")
	for _, name := range tools {
		s.program(name, "/bin/"+name)
	}
	for _, name := range standIn {
		s.script("/bin/"+name, standIns[name])
	}
	return s
}

var library = regexp.MustCompile(`(/\S+) \(0x`)

// program copies a program of this machine, and the libraries that it needs.
func (s *scratch) program(name, to string) {
	s.t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		s.t.Fatal(err)
	}
	s.copy(path, to)
	out, _ := exec.Command("ldd", path).Output() // of what needs none it only says so
	for _, m := range library.FindAllStringSubmatch(string(out), -1) {
		s.copy(m[1], m[1])
	}
}

func (s *scratch) copy(from, to string) {
	s.t.Helper()
	if _, err := os.Stat(filepath.Join(s.root, to)); err == nil {
		return
	}
	text, err := os.ReadFile(from)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(to, string(text))
	if err := os.Chmod(filepath.Join(s.root, to), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scratch) write(path, text string) {
	s.t.Helper()
	path = filepath.Join(s.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scratch) script(path, text string) {
	s.t.Helper()
	s.write(path, "#!/bin/sh\n"+text+"\n")
	if err := os.Chmod(filepath.Join(s.root, path), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scratch) read(path string) string { return read(s.t, filepath.Join(s.root, path)) }

// run runs a script of examples in the root, and returns what it wrote, and what was called.
func (s *scratch) run(script string, args ...string) (out, log string, err error) {
	s.t.Helper()
	return s.runText(read(s.t, "examples/"+script), args...)
}

// runText is run of a script that is no file.
func (s *scratch) runText(text string, args ...string) (out, log string, err error) {
	s.t.Helper()
	s.write("/log", "")
	s.script("/scripts/it.sh", text)
	cmd := exec.Command("/scripts/it.sh", args...)
	cmd.Dir, cmd.Env = "/", append([]string{"PATH=/bin"}, s.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: s.root}
	output, err := cmd.CombinedOutput()
	return string(output), s.read("/log"), err
}

// must is run that may not fail.
func (s *scratch) must(script string, args ...string) (out, log string) {
	s.t.Helper()
	out, log, err := s.run(script, args...)
	if err != nil {
		s.t.Fatalf("%s %q: %v\n%s", script, args, err, out)
	}
	return out, log
}

// expect compares a file of the root.
func (s *scratch) expect(path, want string) {
	s.t.Helper()
	if got := s.read(path); got != want {
		s.t.Errorf("%s: %q, want %q", path, got, want)
	}
}

// inShells runs a test in Debian's shell and in that of busybox, as Alpine has it.
func inShells(t *testing.T, test func(t *testing.T, shell string)) {
	for _, shell := range []string{"dash", "busybox"} {
		t.Run(shell, func(t *testing.T) {
			needtest.Program(t, shell)
			test(t, shell)
		})
	}
}

// TestSyntax has each shell read every script.
func TestSyntax(t *testing.T) {
	for shell, args := range map[string][]string{"dash": nil, "busybox": {"ash"}, "bash": {"--posix"}} {
		t.Run(shell, func(t *testing.T) {
			path, scripts := needtest.Program(t, shell), 0
			for _, file := range examples(t) {
				if filepath.Ext(file) != ".sh" {
					continue
				}
				scripts++
				check := exec.Command(path, append(slices.Clone(args), "-n", file)...)
				if out, err := check.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", file, err, out)
				}
				text := read(t, file)
				if !strings.HasPrefix(text, "#!/bin/sh\n# ") || !strings.Contains(text, "\nset -eu\n") {
					t.Errorf("%s begins otherwise", file)
				}
			}
			if scripts < 5 {
				t.Errorf("%d scripts", scripts)
			}
		})
	}
}

const (
	load   = "/etc/osquery/extensions.load"
	orbits = "/opt/orbit/extensions.load"
)

// TestPostInstall: the package is asked for its lines, and the restart is another process's.
func TestPostInstall(t *testing.T) {
	const script = "fleet/lib/kernel-routes/post-install.sh"
	const register, restart = "register\n", "systemd-run --on-active=30 systemctl restart orbit.service\n"
	inShells(t, func(t *testing.T, shell string) {
		s := newScratch(t, shell, "systemd-run", "systemctl")
		// Without the extension, or where it does not run, nothing is done.
		if out, log, err := s.run(script); err == nil || log != "" {
			t.Errorf("without the extension: %v, %s%s", err, out, log)
		}
		s.script(extensionPath, `exit 1`)
		if _, log, err := s.run(script); err == nil || log != "" {
			t.Errorf("with one that does not run: %v, %s", err, log)
		}
		s.script(extensionPath, `echo "kernel_routes.ext $*"`)
		// Nor is orbit restarted where osqueryd would not find it, or the package says that it failed.
		s.script("/usr/lib/kernel-routes/register", `echo register >>/log`)
		s.write(load, "# "+extensionPath+"\n"+extensionPath+".old\n")
		if out, log, err := s.run(script); err == nil || log != register {
			t.Errorf("without the line: %v, %s%s", err, out, log)
		}
		s.write(load, "/a.ext\n"+extensionPath+"\n")
		if out, log := s.must(script); log != register+restart || !strings.Contains(out, "--version") {
			t.Errorf("%s%s", out, log)
		}
		// osquery cuts off blanks, and the package takes such a line for its own.
		s.write(load, "/a.ext\r\n "+extensionPath+"\r\n")
		if out, log := s.must(script); log != register+restart {
			t.Errorf("with blanks: %s%s", out, log)
		}
		os.Remove(s.root + "/bin/systemd-run")
		if out, log := s.must(script); log != register || !strings.Contains(out, "when fleetd starts next") {
			t.Errorf("without systemd: %s%s", out, log)
		}
		s.script("/usr/lib/kernel-routes/register", `exit 1`)
		if out, log, err := s.run(script); err == nil || log != "" {
			t.Errorf("a line that cannot be added: %v, %s%s", err, out, log)
		}
	})
}

// TestInstall: each kind of package by the tool that the host has.
func TestInstall(t *testing.T) {
	const script = "fleet/lib/kernel-routes/install.sh"
	inShells(t, func(t *testing.T, shell string) {
		for _, c := range []struct{ file, has, want string }{
			{"k.deb", "apt-get", "apt-get -o DPkg::Lock::Timeout=600 install --yes --allow-downgrades /tmp/k.deb\n"},
			{"k.rpm", "dnf", "dnf install --assumeyes /tmp/k.rpm\n"},
			{"k.rpm", "zypper", "zypper --non-interactive install --allow-unsigned-rpm /tmp/k.rpm\n"},
			{"k.rpm", "rpm", "rpm --upgrade --replacepkgs /tmp/k.rpm\n"},
			{"k.zip", "rpm", ""}, {"", "rpm", ""}, {"gone.deb", "apt-get", ""}, {"k.deb", "rpm", ""},
		} {
			s := newScratch(t, shell, c.has)
			if c.file != "" {
				s.env = []string{"INSTALLER_PATH=/tmp/" + c.file}
			}
			if !strings.HasPrefix(c.file, "gone") {
				s.write("/tmp/"+c.file+"x", "")
				s.write("/tmp/k.deb", "")
				s.write("/tmp/k.rpm", "")
				s.write("/tmp/k.zip", "")
			}
			out, log, err := s.run(script)
			if log != c.want || (err == nil) != (c.want != "") {
				t.Errorf("%+v: %v, %s%s", c, err, out, log)
			}
		}
	})
}

// TestUninstall: the package goes, also where it is gone already.
func TestUninstall(t *testing.T) {
	const script = "fleet/lib/kernel-routes/uninstall.sh"
	const restart = "systemd-run --on-active=30 systemctl restart orbit.service\n"
	inShells(t, func(t *testing.T, shell string) {
		deb := newScratch(t, shell, "dpkg-query", "apt-get", "systemd-run", "systemctl")
		deb.write("/installed", "")
		_, log := deb.must(script)
		if want := "dpkg-query --show kernel-routes\n" +
			"apt-get -o DPkg::Lock::Timeout=600 purge --yes kernel-routes\n" + restart; log != want {
			t.Errorf("%s", log)
		}
		// Fleet runs it too where an installation has failed.
		os.Remove(deb.root + "/installed")
		if _, log := deb.must(script); log != "dpkg-query --show kernel-routes\n"+restart {
			t.Errorf("again: %s", log)
		}

		rpm := newScratch(t, shell, "rpm", "systemd-run")
		rpm.write("/installed", "")
		if _, log := rpm.must(script); log != "rpm --query kernel-routes\nrpm --erase kernel-routes\n"+restart {
			t.Errorf("%s", log)
		}
	})
}

// TestInstallBinary: the binary alone, as osquery demands it.
func TestInstallBinary(t *testing.T) {
	inShells(t, func(t *testing.T, shell string) {
		s := newScratch(t, shell)
		s.script("/tmp/built", `echo version $*`)
		s.write("/opt/orbit/certs.pem", "")
		s.write(load, "/a.ext")
		for range 2 {
			if out, _ := s.must("install-binary.sh", "/tmp/built"); !strings.Contains(out, "version --version") {
				t.Errorf("%s", out)
			}
			s.expect(load, "/a.ext\n"+extensionPath+"\n")
			s.expect(orbits, extensionPath+"\n")
			s.expect(extensionPath, s.read("/tmp/built"))
		}
		info, err := os.Stat(s.root + extensionPath)
		if err != nil || info.Mode() != 0o755 {
			t.Errorf("%v, %v", info, err)
		}
		if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 0 || stat.Gid != 0 {
			t.Errorf("owner %d:%d", stat.Uid, stat.Gid)
		}
		if _, err := os.Stat(s.root + extensionPath + ".new"); err == nil {
			t.Error("a file is left over")
		}
		// What does not run on this host replaces nothing.
		s.write("/tmp/foreign", "\x7fELF")
		for _, args := range [][]string{{"/tmp/foreign"}, {"/tmp/none"}, nil} {
			if out, _, err := s.run("install-binary.sh", args...); err == nil {
				t.Errorf("%q: %s", args, out)
			}
		}
		s.expect(extensionPath, s.read("/tmp/built"))
		// Nobody else's host is made to know Fleet's agent.
		plain := newScratch(t, shell)
		plain.script("/tmp/built", "")
		plain.must("install-binary.sh", "/tmp/built")
		plain.expect(load, extensionPath+"\n")
		if _, err := os.Stat(plain.root + "/opt"); err == nil {
			t.Error("/opt was made")
		}
		if shell == "busybox" {
			return // its shell has an id of its own
		}
		plain.script("/bin/id", "echo 1000")
		out, _, err := plain.run("install-binary.sh", "/tmp/built")
		if err == nil || !strings.Contains(out, "as root") {
			t.Errorf("as somebody else: %v, %s", err, out)
		}
	})
}
