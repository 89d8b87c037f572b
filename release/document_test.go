package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// commands returns the commands in docs/release.md that begin with one of these words.
func commands(t *testing.T, words ...string) (list []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/release.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSpace(line)
			for _, word := range words {
				if strings.HasPrefix(line, word) {
					list = append(list, line)
				}
			}
		}
	}
	if len(list) < len(words) {
		t.Fatalf("docs/release.md has only %q of %q", list, words)
	}
	return list
}

// TestDocument: what docs/release.md tells to run means something, and every flag is in it.
func TestDocument(t *testing.T) {
	for _, line := range commands(t, "go run ./release", "GOTOOLCHAIN=", "SOURCE_DATE_EPOCH=") {
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

// TestSigning signs and verifies a release as docs/release.md says, with a key that is thrown away.
func TestSigning(t *testing.T) {
	needs(t, "gpg")
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "dist"), os.DirFS(packages(t, tested))); err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "gpg") // a short name: its sockets are there
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	in := func(dir, line string) {
		t.Helper()
		cmd := exec.Command("sh", "-euc", line)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GNUPGHOME="+home)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	in(dir, "gpg --batch --quiet --passphrase '' --quick-generate-key 'test <test@example.com>' ed25519 sign never")
	defer exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
	dist := filepath.Join(dir, "dist")
	before, err := os.ReadFile(filepath.Join(dist, sumsFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range commands(t, "(cd dist", "gpg --armor") {
		in(dir, line)
	}
	for _, line := range commands(t, "gpg --verify", "sha256sum") {
		in(dist, line)
	}
	if after, err := os.ReadFile(filepath.Join(dist, sumsFile)); err != nil || string(before) != string(after) {
		t.Errorf("the sums are made otherwise by hand: %v\n%s\n%s", err, before, after)
	}
}
