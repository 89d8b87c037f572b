package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"kernelroutes/internal/needtest"
)

func TestSums(t *testing.T) {
	needtest.Program(t, "sha256sum")
	cmd := exec.Command("sha256sum", "-c", "--strict", sumsFile)
	cmd.Dir = packages(t, tested)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// The binary, three packages, an archive and an SBOM
	if lines := strings.Count(string(out), ": OK\n"); lines != 6 {
		t.Errorf("%d files are summed up: %s", lines, out)
	}
}

// TestSameElsewhere makes the release again of a copy of the files in another folder, with other times and
// modes of files, and settings that are not to count. More is different with --again, which takes longer.
func TestSameElsewhere(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it builds once more")
	}
	dir := filepath.Join(t.TempDir(), "some other place")
	copyModule(t, dir)
	t.Setenv("TZ", "Pacific/Chatham")
	t.Setenv("LC_ALL", "tr_TR.UTF-8")
	t.Setenv("GOFLAGS", "-tags=other")
	t.Setenv("GOAMD64", "v2")
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	to := filepath.Join(t.TempDir(), "dist")
	err := release(options{Root: dir, Arches: []string{runtime.GOARCH}, To: to, Version: tested, Date: testDate,
		Quiet: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := compare(packages(t, tested), to); err != nil {
		t.Error(err)
	}
}

// copyModule copies the module's files, but for what is not committed.
func copyModule(t *testing.T, to string) {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, file)
		if err != nil || name == ".git" || name == "dist" {
			if d.IsDir() && err == nil {
				return fs.SkipDir
			}
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > 4<<20 {
			return err // a program that was built there
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return write(filepath.Join(to, name), data, info.Mode()&0o700)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCompare(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	for dir, files := range map[string]map[string]string{
		a: {"same": "x", "other": "some text", "longer": "text", "only.a": "x"},
		b: {"same": "x", "other": "some test", "longer": "text and more", "only.b": "x"},
	} {
		for name, text := range files {
			if err := write(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	err := compare(a, b)
	if err == nil {
		t.Fatal("no difference was found")
	}
	for _, want := range []string{"only.a is only in " + a, "only.b is only in " + b,
		"other differ: 9 and 9 bytes, 1 of", "the first at 7", "longer differ: 4 and 13 bytes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "same") {
		t.Error(err)
	}
	if err := compare(a, a); err != nil {
		t.Error(err)
	}
	if err := compare(a, t.TempDir()); err == nil {
		t.Error("an empty folder is no release")
	}
}

// TestSbom checks what is in the bill of materials; TestSbomSchema that it is one.
func TestSbom(t *testing.T) {
	file := packaged(t, tested, ".cdx.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type licence struct {
		Expression string
		License    struct{ ID string }
	}
	type component struct {
		Name, Version, Purl, Cpe string
		Licenses                 []licence
	}
	var bom struct {
		SpecVersion, SerialNumber string
		Metadata                  struct {
			Timestamp  string
			Component  component
			Tools      []map[string]any
			Properties []struct{ Name, Value string }
		}
		Components []component
	}
	if err := json.Unmarshal(data, &bom); err != nil {
		t.Fatal(err)
	}
	main := bom.Metadata.Component
	const purl = "pkg:golang/kernelroutes@v1.0.0?"
	if main.Name != "kernelroutes" || main.Version != "v1.0.0" || len(main.Licenses) != 1 ||
		main.Licenses[0].License.ID != "Apache-2.0" || !strings.HasPrefix(main.Purl, purl) {
		t.Errorf("the program is %+v", main)
	}
	if bom.SpecVersion != "1.6" || bom.SerialNumber != "" || bom.Metadata.Timestamp != "2026-01-02T03:04:05Z" {
		t.Errorf("%s, %q, %s", bom.SpecVersion, bom.SerialNumber, bom.Metadata.Timestamp)
	}
	for _, tool := range bom.Metadata.Tools {
		if tool["hashes"] != nil {
			t.Errorf("the tool has hashes: %v", tool)
		}
	}
	sum, err := sumOf(strings.TrimSuffix(file, ".cdx.json") + ".ext")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), sum) {
		t.Errorf("the SHA-256 of the binary, %s, is not in it", sum)
	}
	known := map[string]component{}
	for _, c := range bom.Components {
		known[c.Name] = c
		if len(c.Licenses) != 1 || c.Licenses[0].Expression == "" && c.Licenses[0].License.ID == "" || c.Version == "" {
			t.Errorf("no licence or version: %+v", c)
		}
	}
	for name, id := range map[string]string{"stdlib": "BSD-3-Clause", "golang.org/x/sys": "BSD-3-Clause",
		"sqlite": "blessing", "github.com/apache/thrift": "Apache-2.0", "github.com/mdlayher/netlink": "MIT"} {
		if l := known[name].Licenses; len(l) != 1 || l[0].License.ID != id {
			t.Errorf("%s has the licence %+v, expected %s", name, l, id)
		}
	}
	if !regexp.MustCompile(`^cpe:2\.3:a:sqlite:sqlite:3\.\d+\.\d+:`).MatchString(known["sqlite"].Cpe) {
		t.Errorf("%+v", known["sqlite"])
	}
	goVersion := strings.TrimPrefix(runtime.Version(), "go")
	if std := known["stdlib"]; std.Version != goVersion ||
		std.Cpe != "cpe:2.3:a:golang:go:"+goVersion+":*:*:*:*:*:*:*" ||
		!strings.HasPrefix(std.Purl, "pkg:golang/stdlib@"+goVersion+"?") {
		t.Errorf("%+v", std)
	}
	if strings.Contains(string(data), "golang/std@") {
		t.Error("something leads to a library std that is not there")
	}
}

// TestInstallByHand does what INSTALL.md in an archive says.
func TestInstallByHand(t *testing.T) {
	needtest.Program(t, "tar")
	dir, root := t.TempDir(), t.TempDir()
	if out, err := exec.Command("tar", "-xzf", packaged(t, tested, ".tar.gz"), "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tops, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(tops) != 1 || filepath.Base(tops[0]) != "kernel-routes-1.0.0-linux-"+runtime.GOARCH {
		t.Fatalf("%v, %v", tops, err)
	}
	text, err := os.ReadFile(filepath.Join(tops[0], "INSTALL.md"))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		script.WriteString(m[1])
	}
	list := filepath.Join(root, "etc/osquery/extensions.load")
	if err := os.MkdirAll(filepath.Dir(list), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, []byte("# ours\n/opt/a.ext"), 0o644); err != nil { // the last line has no end
		t.Fatal(err)
	}
	for range 2 { // an upgrade does not add the line again
		cmd := exec.Command("sh", "-euc", script.String())
		cmd.Dir, cmd.Env = tops[0], append(os.Environ(), "DESTDIR="+root)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	const program = "/usr/lib/osquery/extensions/kernel_routes.ext"
	if has, err := os.ReadFile(list); string(has) != "# ours\n/opt/a.ext\n"+program+"\n" {
		t.Errorf("extensions.load has %q, %v", has, err)
	}
	if info, err := os.Stat(filepath.Join(root, program)); err != nil || info.Mode() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	command := filepath.Join(root, "usr/bin/kernel-routes")
	out, err := exec.Command(command, "query", "--csv", "SELECT 1 + 1 AS two").Output()
	if err != nil || strings.TrimSpace(string(out)) != "two\n2" {
		t.Errorf("%q, %v", out, err)
	}
	checkCompletions(t, root)
	// Every file of a package is somewhere, but for documents.
	if _, err := os.Stat("/usr/bin/dpkg-deb"); err == nil {
		for _, h := range entries(t, ".deb") {
			name := strings.Replace(h.Name, "/zsh/vendor-completions", "/zsh/site-functions", 1)
			// What serves the package itself is not for those who have none.
			if regexp.MustCompile("/(doc|lintian|lib/kernel-routes)(/|$)").MatchString(name) {
				continue
			}
			if _, err := os.Lstat(filepath.Join(root, name)); err != nil {
				t.Error(err)
			}
		}
	}
}

// checkCompletions: shells find what completes both names by themselves.
func checkCompletions(t *testing.T, root string) {
	t.Helper()
	share, bin := filepath.Join(root, "usr/share"), filepath.Join(root, "usr/bin")
	path := bin + ":" + filepath.Join(root, "usr/lib/osquery/extensions") + ":" + os.Getenv("PATH")
	env := append(os.Environ(), "PATH="+path, "XDG_DATA_DIRS="+share, "HOME="+t.TempDir(),
		"BASH_COMPLETION_USER_DIR="+filepath.Join(share, "bash-completion"))
	for _, name := range []string{"kernel-routes", "kernel_routes.ext"} {
		for shell, script := range map[string]string{
			// Newer ones have _comp_load in place of _completion_loader.
			"bash": `. /usr/share/bash-completion/bash_completion
				_comp_load "$0" 2>/dev/null || _completion_loader "$0" || :; complete -p "$0"`,
			"fish": `complete -C "$argv[1] completion "`,
		} {
			if _, err := os.Stat("/usr/share/bash-completion/bash_completion"); shell == "bash" && err != nil &&
				os.Getenv("CI") != "true" {
				t.Log("without bash-completion nothing is loaded by name")
				continue
			}
			if _, err := exec.LookPath(shell); err != nil && os.Getenv("CI") != "true" {
				t.Logf("%s is missing", shell)
				continue
			}
			cmd := exec.Command(shell, "-c", script, name)
			cmd.Env = env
			want := map[string]string{"bash": "-F _kernel_routes", "fish": "zsh"}[shell]
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%s does not complete %s: %v, %s", shell, name, err, out)
			}
		}
	}
}

// TestLinks: links of documents lead to what is in the package too.
func TestLinks(t *testing.T) {
	needtest.Program(t, "tar")
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xzf", packaged(t, tested, ".tar.gz"), "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	links := 0
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(file) != ".md" {
			return err
		}
		text, err := os.ReadFile(file)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if m[2] == "" || strings.Contains(m[2], ":") {
				continue
			}
			links++
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[2])); err != nil {
				t.Errorf("%s: %v", d.Name(), err)
			}
		}
		return err
	})
	if err != nil || links == 0 {
		t.Errorf("%d links, %v", links, err)
	}
}

// TestTrimmed: a binary that has paths of the machine is not released.
func TestTrimmed(t *testing.T) {
	list, err := targetsOf([]string{runtime.GOARCH})
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	put(t, dir, "go.mod", "module x\n\ngo 1.26.0\n")
	put(t, dir, "main.go", "package main\n\nfunc main() {}\n")
	b := &build{source: &source{dir: dir, given: true}, work: "/nowhere", cache: "/nowhere"}
	for flag, want := range map[string]string{"-trimpath=true": "", "-trimpath=false": "otherwise than it is to be"} {
		file := filepath.Join(t.TempDir(), "x")
		cmd := exec.Command("go", "build", flag, "-buildvcs=false", "-o", file, ".")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := b.check(file, list[0]); want == "" && err != nil {
			t.Error(err)
		} else if want != "" {
			refused(t, err, want)
		}
	}
}

// TestProgram: the program tells the version and runs anywhere.
func TestProgram(t *testing.T) {
	file := packaged(t, tested, ".ext")
	out, err := exec.Command(file, "--version").Output()
	if first, _, _ := strings.Cut(string(out), "\n"); err != nil || !strings.HasSuffix(first, " 1.0.0") {
		t.Errorf("%s, %v", out, err)
	}
	list, err := targetsOf([]string{runtime.GOARCH})
	if err != nil {
		t.Skip(err)
	}
	b := &build{source: &source{dir: "/nowhere", given: true}, work: "/nowhere", cache: "/nowhere"}
	if err := b.check(file, list[0]); err != nil {
		t.Error(err)
	}
	for _, other := range []func() error{
		func() error { return b.check("/bin/sh", list[0]) },
		func() error { return b.check("main.go", list[0]) },
		func() error { return b.check(file, target{Arch: "other"}) },
		func() error {
			here := *b
			here.cache = "kernelroutes/rtnl/object" // which is a path in it
			return here.check(file, list[0])
		},
		func() error {
			ofGit := *b
			ofGit.source = &source{dir: "/nowhere"}
			return ofGit.check(file, list[0])
		},
	} {
		if other() == nil {
			t.Error("what is not to be released was taken")
		}
	}
}
