package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"kernelroutes/internal/needtest"
)

// commands returns the commands in docs/release.md that begin with one of these words.
func commands(t *testing.T, words ...string) []string {
	t.Helper()
	return commandsOf(t, "../docs/release.md", words...)
}

// commandsOf returns the commands of a page that begin with one of these words, without comments.
func commandsOf(t *testing.T, page string, words ...string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(line, " #")
			line = strings.TrimSpace(line)
			for _, word := range words {
				if strings.HasPrefix(line, word) {
					list = append(list, line)
				}
			}
		}
	}
	if len(list) < len(words) {
		t.Fatalf("%s has only %q of %q", page, list, words)
	}
	return list
}

// TestDocument: what docs/release.md tells to run means something, and every flag is in it.
func TestDocument(t *testing.T) {
	lines := commands(t, "go run ./release", "GOTOOLCHAIN=", "GOPROXY=", "SOURCE_DATE_EPOCH=")
	for _, line := range append(lines, commandsOf(t, "../README.md", "go run ./release")...) {
		_, args, _ := strings.Cut(line, "go run ./release")
		if _, err := parse(strings.Fields(args)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, err := parse([]string{"nothing"}); err == nil {
		t.Error("an argument was taken")
	}
	text, err := os.ReadFile("../docs/release.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"arch", "to", "version", "release", "again", "compare"} {
		if !strings.Contains(string(text), "| `--"+name) {
			t.Errorf("docs/release.md does not have --%s", name)
		}
	}
}

// TestReadme: each package that README.md tells to install is one file of a release, for the processor
// that most have.
func TestReadme(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("README.md has the packages for amd64, tests make those for " + runtime.GOARCH)
	}
	formats := map[string]int{}
	for _, line := range commandsOf(t, "../README.md", "sudo apt ", "sudo dnf ", "sudo zypper ", "sudo apk ") {
		_, pattern, _ := strings.Cut(line, " ./dist/")
		found, err := filepath.Glob(filepath.Join(packages(t, tested), pattern))
		if err != nil || len(found) != 1 {
			t.Errorf("%s: %q, %v", line, found, err)
		}
		formats[filepath.Ext(pattern)]++
	}
	if formats[".deb"] != 1 || formats[".rpm"] != 2 || formats[".apk"] != 1 {
		t.Errorf("%v", formats)
	}
}

// TestSigning signs and verifies a release as docs/release.md says, with keys that are thrown away.
func TestSigning(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "dist"), os.DirFS(packages(t, tested))); err != nil {
		t.Fatal(err)
	}
	in := signer(t)
	dist := filepath.Join(dir, "dist")
	before, err := os.ReadFile(filepath.Join(dist, sumsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range commands(t, "(cd dist", "gpg --armor", "minisign -S") {
		in(dir, line)
	}
	in(dir, `minisign -V -q -p "$GNUPGHOME/key.pub" -m dist/SHA256SUMS`)
	for _, line := range commands(t, "gpg --verify", "sha256sum") {
		in(dist, line)
	}
	if after, err := os.ReadFile(filepath.Join(dist, sumsFile)); err != nil || string(before) != string(after) {
		t.Errorf("the sums are made otherwise by hand: %v\n%s\n%s", err, before, after)
	}
}

// TestTag tags a commit as docs/release.md says, and clones what has the tag.
func TestTag(t *testing.T) {
	dir := t.TempDir()
	in := signer(t)
	in(dir, "git init --quiet origin && git -C origin commit --quiet --allow-empty --message first")
	tag := commands(t, "git tag")
	if len(tag) != 1 {
		t.Fatalf("%q", tag)
	}
	in(filepath.Join(dir, "origin"), tag[0]+" && git tag --verify v1.2.3")
	for _, line := range commands(t, "git clone") {
		in(dir, strings.Replace(line, " REPOSITORY ", " ./origin ", 1)+" && git describe --exact-match --match v1.2.3")
	}
}

// signer makes keys, and returns what runs a line in a folder by somebody who has them.
func signer(t *testing.T) func(dir, line string) {
	t.Helper()
	needtest.Program(t, "gpg")
	needtest.Program(t, "minisign")
	needtest.Program(t, "git")
	home, err := os.MkdirTemp("", "gpg") // a short name: its sockets are there
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	in := func(dir, line string) {
		t.Helper()
		cmd := exec.Command("sh", "-euc", line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GNUPGHOME="+home, "MINISIGN_CONFIG_DIR="+home, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@example.com",
			"GIT_COMMITTER_NAME=test", "GIT_COMMITTER_EMAIL=test@example.com")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	in(home, "gpg --batch --quiet --passphrase '' --quick-generate-key 'test <test@example.com>' ed25519 sign never")
	in(home, "minisign -G -W -p key.pub >/dev/null")
	return in
}
