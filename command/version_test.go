package command

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/needtest"
)

// semver is what semver.org has as a version, without regard to leading zeros.
var semver = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// TestVersion: the program says what it is by the name under which it is run.
func TestVersion(t *testing.T) {
	b := thisBuild() // of the tests, which are made without git as the program here is
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	want := "commit: " + b.Commit + "\ndate: " + b.Date + "\ngo: " + runtime.Version() + " linux/" + runtime.GOARCH +
		"\nkernel interface: rtnetlink, attributes up to RTA_DEL_REASON (32), NHA_HW_STATS_USED (17), " +
		"FRA_DSCP_MASK (30), NETCONFA_FORCE_FORWARDING (9)\nrunning kernel: Linux " +
		unix.ByteSliceToString(name.Release[:]) + "\n"
	if b.Commit != withoutGit || b.Date != withoutGit || b.Version != "0.0.0-unknown" {
		t.Errorf("without git: %+v", b)
	}
	dir := t.TempDir()
	for _, name := range []string{commandName, extensionName, "other"} {
		if err := os.Symlink(binary(t), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		called := name
		if name == "other" {
			called = extensionName
		}
		for _, args := range [][]string{{"--version"}, {"-v"}} {
			out, err := exec.Command(filepath.Join(dir, name), args...).CombinedOutput()
			if err != nil || string(out) != called+" "+b.Version+"\n"+want {
				t.Errorf("%s %s: %v, %s", name, args, err, out)
			}
		}
	}
}

// TestNames: under the name of the link there is no word of the other one, but for the path
// that osquery is given.
func TestNames(t *testing.T) {
	link := filepath.Join(t.TempDir(), commandName)
	if err := os.Symlink(binary(t), link); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"", "--help", "query --help", "routes --help", "capture --help", "spec --help",
		"completion --help", "help", "nope", "query", "--socket= x", "routes --table nope", "spec nope",
		"query --from /nonexistent x"} {
		out, _ := exec.Command(link, strings.Fields(args)...).CombinedOutput()
		text := strings.ReplaceAll(string(out), "--extension "+installed, "")
		text = strings.Replace(text, "both names of the program, kernel-routes and kernel_routes.ext", "", 1)
		if !strings.Contains(text, commandName) || strings.Contains(text, extensionName) {
			t.Errorf("%s %s:\n%s", commandName, args, out)
		}
	}
	for path, want := range map[string]string{"/usr/bin/kernel-routes": commandName, "kernel-routes": commandName,
		"kernel-routes.ext": extensionName, "/x/kernel_routes.ext": extensionName, "kernelroutes": extensionName} {
		if got := programName([]string{path}); got != want {
			t.Errorf("%s calls itself %s", path, got)
		}
	}
	if got := programName(nil); got != extensionName {
		t.Errorf("without a name it calls itself %s", got)
	}
}

func TestBuildOf(t *testing.T) {
	git := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "7932e2d35987"},
		{Key: "vcs.time", Value: "2026-11-26T13:24:42+01:00"}, {Key: "vcs.modified", Value: "false"}}
	changed := slices.Clone(git)
	changed[3].Value = "true"
	for _, test := range []struct {
		main     string
		settings []debug.BuildSetting
		want     build
	}{
		{"v1.2.3", git, build{"1.2.3", "7932e2d35987", "2026-11-26T12:24:42Z", ""}},
		{"v1.2.3+dirty", changed,
			build{"1.2.3+dirty", "7932e2d35987, and files that were changed", "2026-11-26T12:24:42Z", ""}},
		{"(devel)", nil, build{"0.0.0-unknown", withoutGit, withoutGit, ""}},
		{"", nil, build{"0.0.0-unknown", withoutGit, withoutGit, ""}},
		{"v1.2.3", nil, build{"1.2.3", withoutGit, withoutGit, ""}}, // go install of a module
	} {
		got := buildOf(&debug.BuildInfo{Main: debug.Module{Version: test.main}, Settings: test.settings})
		test.want.Go = runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
		if got != test.want {
			t.Errorf("%s, %v: %+v, want %+v", test.main, test.settings, got, test.want)
		}
		if !semver.MatchString(got.Version) {
			t.Errorf("no version: %s", got.Version)
		}
	}
}

// scratch is a module with the project's version.go, which prints what that tells.
type scratch struct {
	t   *testing.T
	dir string
}

func newScratch(t *testing.T) scratch {
	source, err := os.ReadFile("command/version.go")
	if err != nil {
		t.Fatal(err)
	}
	s := scratch{t, t.TempDir()}
	s.write("version.go", strings.Replace(string(source), "package command", "package main", 1))
	s.write("go.mod", "module scratch\n\ngo 1.26\n")
	s.write("main.go", "package main\n\nvar version, commit, date string\n\nfunc main() {\n"+
		"\tlinked = Linked{version, commit, date}\n\tb := thisBuild()\n"+
		"\tprint(b.Version, \"\\n\", b.Commit, \"\\n\", b.Date, \"\\n\", b.Go, \"\\n\")\n}\n")
	return s
}

func (s scratch) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// run runs a program as it would run for a user who has set up nothing.
func (s scratch) run(name string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "GOENV=off", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a",
		"GIT_COMMITTER_EMAIL=a@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05+01:00",
		"GIT_COMMITTER_DATE=2026-01-02T03:04:05+01:00")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %s: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// built builds the module and returns what it tells of itself.
func (s scratch) built(flags ...string) (version, commit, date string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "scratch")
	s.run("go", append(append([]string{"build", "-o", file}, flags...), ".")...)
	lines := strings.Split(s.run(file), "\n")
	if want := runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH; len(lines) != 4 || lines[3] != want {
		s.t.Fatalf("it tells %q", lines)
	}
	if !semver.MatchString(lines[0]) {
		s.t.Errorf("no version: %s", lines[0])
	}
	return lines[0], lines[1], lines[2]
}

func (s scratch) expect(wantVersion, wantCommit, wantDate string, flags ...string) {
	s.t.Helper()
	version, commit, date := s.built(flags...)
	if version != wantVersion || commit != wantCommit || date != wantDate {
		s.t.Errorf("%s: %s, %s, %s; want %s, %s, %s", flags, version, commit, date, wantVersion, wantCommit, wantDate)
	}
}

// TestVersionFromGit builds from repositories in all the states that a checkout can be in.
func TestVersionFromGit(t *testing.T) {
	t.Parallel()
	needtest.Program(t, "git")
	const when, stamp, edited = "2026-01-02T02:04:05Z", "20260102020405", ", and files that were changed"
	s := newScratch(t)
	s.run("git", "init", "-q", "-b", "main")
	s.run("git", "add", ".")
	s.run("git", "commit", "-q", "-m", "first")
	head := s.run("git", "rev-parse", "HEAD")
	s.expect("0.0.0-"+stamp+"-"+head[:12], head, when)
	s.expect("0.0.0-unknown", withoutGit, withoutGit, "-buildvcs=false")
	s.run("git", "tag", "not-a-version")
	s.run("git", "tag", "v1.2.3")
	s.expect("1.2.3", head, when)
	s.write("new.go", "package main\n")
	s.expect("1.2.3+dirty", head+edited, when)
	s.run("git", "add", ".")
	s.run("git", "commit", "-q", "-m", "second")
	head = s.run("git", "rev-parse", "HEAD")
	s.expect("1.2.4-0."+stamp+"-"+head[:12], head, when)
	s.run("git", "tag", "-a", "-m", "annotated", "v1.3.0-rc.1")
	s.expect("1.3.0-rc.1", head, when)

	shallow := scratch{t, filepath.Join(t.TempDir(), "clone")}
	s.run("git", "clone", "-q", "--depth", "1", "file://"+s.dir, shallow.dir)
	shallow.expect("1.3.0-rc.1", head, when)
	s.run("git", "tag", "-d", "v1.3.0-rc.1")
	untagged := scratch{t, filepath.Join(t.TempDir(), "clone")}
	s.run("git", "clone", "-q", "--depth", "1", "file://"+s.dir, untagged.dir)
	// Nothing but the last commit is there, so that the tag before it is not known.
	untagged.expect("0.0.0-"+stamp+"-"+head[:12], head, when)
}

// TestVersionWithoutGit builds from what an archive has, and as a packager does.
func TestVersionWithoutGit(t *testing.T) {
	t.Parallel()
	s := newScratch(t)
	s.expect("0.0.0-unknown", withoutGit, withoutGit)
	s.expect("1.2.3", withoutGit, withoutGit, "-ldflags", "-X main.version=1.2.3")
	s.expect("1.2.3-2", "abc", "2026-01-02T02:04:05Z", "-trimpath", "-ldflags",
		"-s -w -X main.version=v1.2.3-2 -X main.commit=abc -X main.date=2026-01-02T03:04:05+01:00")
	// Where the program git is missing, the checkout is as good as an archive.
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.dir, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "scratch")
	tool := filepath.Join(string(bytes.TrimSpace(out)), "bin/go")
	s.run("/usr/bin/env", "PATH=/nonexistent", tool, "build", "-o", file, ".")
	if said := s.run(file); !strings.HasPrefix(said, "0.0.0-unknown\n"+withoutGit) {
		t.Errorf("no git: %s", said)
	}
}

// TestNoTemplates: a template that is run calls methods by their names, so that the linker keeps every
// method of every type. That was a quarter of the program once.
func TestNoTemplates(t *testing.T) {
	symbols, err := exec.Command("go", "tool", "nm", binary(t)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(symbols, []byte(" kernelroutes/command.about\n")) {
		t.Fatal("the program's own functions are not told")
	}
	if bytes.Contains(symbols, []byte(" text/template.(*Template).Execute\n")) {
		t.Error("text/template is linked into the program: see what calls it (cobra's Set...Template does)")
	}
}
