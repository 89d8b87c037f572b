package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kernelroutes/internal/needtest"
)

// repository makes a git repository with one commit, and returns its folder.
func repository(t *testing.T) string {
	t.Helper()
	needtest.Program(t, "git")
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	dir := t.TempDir()
	put(t, dir, "file", "text\n")
	put(t, dir, ".gitignore", "/dist/\n")
	inRepository(t, dir, "init", "--quiet")
	commit(t, dir)
	return dir
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := write(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func commit(t *testing.T, dir string) {
	t.Helper()
	inRepository(t, dir, "add", "--all")
	inRepository(t, dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "all")
}

func inRepository(t *testing.T, dir string, args ...string) {
	t.Helper()
	if _, err := git(dir, args...); err != nil {
		t.Fatal(err)
	}
}

// refused checks that there is an error with these words.
func refused(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("there is no error that says %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

// TestClone: checkouts of all sorts have the files of the commit.
func TestClone(t *testing.T) {
	first := repository(t)
	put(t, first, "dist/ignored", "x")
	inRepository(t, first, "config", "--global", "core.autocrlf", "true") // as it is where people use Windows, too
	worktree := filepath.Join(t.TempDir(), "worktree")
	inRepository(t, first, "worktree", "add", "--quiet", "--detach", worktree)
	put(t, first, "file", "more text\n")
	commit(t, first)
	shallow := filepath.Join(t.TempDir(), "shallow")
	inRepository(t, first, "clone", "--quiet", "--depth=1", "file://"+first, shallow)
	for root, want := range map[string]string{first: "more text\n", worktree: "text\n", shallow: "more text\n"} {
		s, err := clone(root, filepath.Join(t.TempDir(), "src"))
		if err != nil {
			t.Error(err)
			continue
		}
		if text, err := os.ReadFile(filepath.Join(s.dir, "file")); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", root, text, err)
		}
		if _, err := os.Stat(filepath.Join(s.dir, "dist")); err == nil {
			t.Errorf("%s: what git ignores is there", root)
		}
	}
}

func TestNotClean(t *testing.T) {
	dir := repository(t)
	src := filepath.Join(t.TempDir(), "src")
	put(t, dir, "new", "x")
	_, err := clone(dir, src)
	refused(t, err, "differ from the commit", "?? new", "clean clone")
	commit(t, dir)
	put(t, dir, "file", "changed")
	_, err = clone(dir, src)
	refused(t, err, "differ from the commit", "M file")
}

func TestNoCheckout(t *testing.T) {
	repo := repository(t)
	src := filepath.Join(t.TempDir(), "src")
	_, err := clone(t.TempDir(), src)
	refused(t, err, "no git checkout", "--version")
	// A tarball that somebody has unpacked into a checkout of something else is not that.
	put(t, repo, "unpacked/go.mod", "module x\n")
	_, err = clone(filepath.Join(repo, "unpacked"), src)
	refused(t, err, "only a folder in the git checkout", "--version")
	// Somebody else's
	t.Setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
	if out, _ := exec.Command("git", "-C", repo, "status").CombinedOutput(); strings.Contains(string(out), "dubious") {
		_, err = clone(repo, src)
		refused(t, err, "dubious ownership", "safe.directory")
	}
	t.Setenv("PATH", t.TempDir())
	_, err = clone(repo, src)
	refused(t, err, "git", "install it", "--version")
}

// TestTagTold: a tag that Go does not take as a version is no reason to release another one.
func TestTagTold(t *testing.T) {
	dir := repository(t)
	b := &build{source: &source{dir: dir}}
	if err := b.tagTold("v0.0.0-20261126122442-7932e2d35987"); err != nil {
		t.Error(err)
	}
	inRepository(t, dir, "tag", "v1.2.3+meta")
	refused(t, b.tagTold("v0.0.0-20261126122442-7932e2d35987"), "v1.2.3+meta", "v1.2.3-rc.1")
	inRepository(t, dir, "tag", "v1.2.3")
	inRepository(t, dir, "tag", "unrelated")
	if err := b.tagTold("v1.2.3"); err != nil {
		t.Error(err)
	}
}

// TestRefused: what is asked for is looked at before anything is removed.
func TestRefused(t *testing.T) {
	to := t.TempDir()
	put(t, to, sumsFile, "of an earlier release")
	here := func(change func(*options)) error {
		opts := options{Arches: []string{runtime.GOARCH}, To: to, Version: tested, Date: testDate, Quiet: true}
		change(&opts)
		return release(opts)
	}
	refused(t, here(func(o *options) { o.Arches = []string{"amd64", "vax"} }), `"vax"`, "riscv64")
	refused(t, here(func(o *options) { o.Arches = []string{"arm64", "amd64", "arm64"} }), `"arm64"`, "twice")
	refused(t, here(func(o *options) { o.Version = "1.2" }), `"1.2"`, "1.2.3")
	refused(t, here(func(o *options) { o.Date = "" }), "SOURCE_DATE_EPOCH")
	refused(t, here(func(o *options) { o.Date = "today" }), "SOURCE_DATE_EPOCH")
	refused(t, here(func(o *options) { o.Release = "1a" }), "--release")
	if _, err := os.Stat(filepath.Join(to, sumsFile)); err != nil {
		t.Error(err)
	}
	put(t, to, "precious", "x")
	refused(t, here(func(*options) {}), "precious", "did not write", "--to")
}

// TestClear: what an earlier run has left is removed, and nothing else is.
func TestClear(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "dist") // where there is more space
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	earlier := []string{"SHA256SUMS", "SHA256SUMS.asc", "kernel-routes-1.2.3-linux-arm64.ext",
		"kernel-routes_1.2.3~rc.1-1_amd64.deb"}
	for range 2 {
		for _, name := range earlier {
			put(t, dir, name, "x")
		}
		if err := clear(link); err != nil {
			t.Fatal(err)
		}
		if names, err := released(link); err != nil || len(names) != 0 {
			t.Errorf("%v, %v", names, err)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("%v, %v", info, err)
	}
	for _, other := range []string{"notes", "kernel-routes-1.2.3.ext/file", "kernel-routes/README.md", ".git/config"} {
		dir := t.TempDir()
		put(t, dir, earlier[0], "x")
		put(t, dir, other, "x")
		refused(t, clear(dir), strings.Split(other, "/")[0], "did not write")
		if names, err := released(dir); err != nil || len(names) != 2 {
			t.Errorf("%s: %v, %v", other, names, err)
		}
	}
	if err := clear(filepath.Join(dir, "new", "folder")); err != nil {
		t.Error(err)
	}
}

// TestOfGit builds from a checkout, which is a worktree, of a commit that has a tag.
func TestOfGit(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it builds once more")
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output() // before there is another home
	if err != nil {
		t.Fatal(err)
	}
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOMODCACHE", strings.TrimSpace(string(cache)))
	t.Setenv("GOCACHE", strings.TrimSpace(string(goCache)))
	dir := repository(t)
	copyModule(t, dir)
	t.Setenv("GIT_COMMITTER_DATE", "2026-03-04T05:06:07+0800")
	inRepository(t, dir, "add", "--all")
	cmd := exec.Command("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "all")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	inRepository(t, dir, "tag", "v1.2.3-rc.1")
	worktree := filepath.Join(t.TempDir(), "worktree")
	inRepository(t, dir, "worktree", "add", "--quiet", "--detach", worktree)
	to := filepath.Join(worktree, "dist")
	err = release(options{Root: worktree, Arches: []string{runtime.GOARCH}, To: to, Quiet: true})
	if err != nil {
		t.Fatal(err)
	}
	name := "kernel-routes-1.2.3-rc.1-linux-" + runtime.GOARCH
	out, err := exec.Command(filepath.Join(worktree, "dist", name+".ext"), "--version").Output()
	if first, _, _ := strings.Cut(string(out), "\n"); err != nil || strings.Contains(first, "dirty") {
		t.Errorf("%s, %v", out, err)
	}
	bom, err := os.ReadFile(filepath.Join(worktree, "dist", name+".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"pkg:golang/kernelroutes@v1.2.3-rc.1?type=module"`, `"2026-03-03T21:06:07Z"`} {
		if !strings.Contains(string(bom), want) {
			t.Errorf("the SBOM does not have %s", want)
		}
	}
	if found, err := filepath.Glob(filepath.Join(to, "kernel-routes_1.2.3~rc.1-1_*.deb")); len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
	if changed, err := git(worktree, "status", "--porcelain"); err != nil || changed != "" {
		t.Errorf("%s, %v", changed, err)
	}
}
