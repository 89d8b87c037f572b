//go:build linux

package roottest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A Kind is whose shell and tools a root directory has.
type Kind string

// The kinds.
const (
	Dash    Kind = "dash"    // and GNU's tools: Debian, Ubuntu
	Bash    Kind = "bash"    // and GNU's tools: Fedora, RHEL, Amazon, SUSE
	Busybox Kind = "busybox" // Alpine
)

// tools are what any minimal system has beside the shell. There is no awk, perl or find.
var tools = []string{"cat", "chmod", "chown", "cp", "false", "grep", "head", "id", "ln", "ls", "mkdir", "mktemp", "mv",
	"readlink", "rm", "rmdir", "sed", "sleep", "stat", "sync", "tail", "touch", "tr", "true", "wc"}

// A Root is a root directory.
type Root struct {
	t   *testing.T
	Dir string
}

// New makes a root directory with a shell and tools, which is removed when the test ends. Directories are
// merged (/bin is /usr/bin), as all distributions have it by now.
func New(t *testing.T, kind Kind) *Root {
	t.Helper()
	if !IsInside() {
		t.Fatal("roottest.New outside of the namespaces of roottest.Inside")
	}
	r := &Root{t, t.TempDir()}
	for _, dir := range []string{"usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "tmp", "var/lib", "dev", "proc",
		"run", "opt"} {
		r.Folder(dir)
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		r.Link(dir, "usr/"+dir)
	}
	r.Write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
	r.Write("etc/group", "root:x:0:\n")
	r.Write("dev/null", "")
	r.bind("/dev/null", "dev/null")
	if kind == Busybox {
		r.Add("busybox")
		for _, tool := range append([]string{"sh"}, tools...) {
			r.Link("usr/bin/"+tool, "busybox")
		}
		return r
	}
	r.Add(string(kind))
	r.Link("usr/bin/sh", string(kind))
	r.Add(tools...)
	return r
}

func (r *Root) bind(from, to string) {
	r.t.Helper()
	to = r.Path(to)
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		r.t.Fatalf("mount %s at %s: %v", from, to, err)
	}
	r.t.Cleanup(func() { unix.Unmount(to, unix.MNT_DETACH) })
}

// Tmpfs mounts a file system in memory at a folder, until the returned function is called.
func (r *Root) Tmpfs(dir, options string) (umount func()) {
	r.t.Helper()
	r.Folder(dir)
	to := r.Path(dir)
	if err := unix.Mount("tmpfs", to, "tmpfs", 0, options); err != nil {
		r.t.Fatalf("mount a tmpfs at %s: %v", to, err)
	}
	once := sync.OnceFunc(func() { unix.Unmount(to, unix.MNT_DETACH) })
	r.t.Cleanup(once)
	return once
}

// ReadOnly makes what is mounted at a folder read-only.
func (r *Root) ReadOnly(dir string) {
	r.t.Helper()
	if err := unix.Mount("", r.Path(dir), "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		r.t.Fatalf("make %s read-only: %v", dir, err)
	}
}

// Path returns where a path of the root directory is outside of it.
func (r *Root) Path(path string) string { return filepath.Join(r.Dir, path) }

// Folder makes a folder and those above it.
func (r *Root) Folder(path string) {
	r.t.Helper()
	if err := os.MkdirAll(r.Path(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

// Link makes a symbolic link, in place of what is there.
func (r *Root) Link(path, target string) {
	r.t.Helper()
	os.Remove(r.Path(path))
	if err := os.Symlink(target, r.Path(path)); err != nil {
		r.t.Fatal(err)
	}
}

// Write writes a file, mode 0644, and makes the folders above it.
func (r *Root) Write(path, text string) {
	r.t.Helper()
	r.Folder(filepath.Dir(path))
	if err := os.WriteFile(r.Path(path), []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// Script writes a shell script.
func (r *Root) Script(path, text string) {
	r.t.Helper()
	r.Write(path, "#!/bin/sh\n"+text)
	if err := os.Chmod(r.Path(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
}

// Read returns what a file has, "(none)" if there is none.
func (r *Root) Read(path string) string {
	r.t.Helper()
	text, err := os.ReadFile(r.Path(path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "(none)"
	case err != nil:
		r.t.Fatal(err)
	}
	return string(text)
}

// Remove removes files and folders with all that is in them.
func (r *Root) Remove(paths ...string) {
	r.t.Helper()
	for _, path := range paths {
		if err := os.RemoveAll(r.Path(path)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Tree returns all files below the root directory, but below the folders given, with all that a package
// manager could change of them.
func (r *Root) Tree(except ...string) map[string]string {
	r.t.Helper()
	tree := map[string]string{}
	err := filepath.WalkDir(r.Dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, _ := filepath.Rel(r.Dir, file)
		if slices.Contains(except, path) {
			return fs.SkipDir
		}
		var stat unix.Stat_t
		if err := unix.Lstat(file, &stat); err != nil {
			return err
		}
		what := fmt.Sprintf("%o %d:%d", stat.Mode, stat.Uid, stat.Gid)
		switch d.Type() {
		case 0:
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(text))
		case fs.ModeSymlink:
			target, err := os.Readlink(file)
			if err != nil {
				return err
			}
			what += " -> " + target
		}
		tree[path] = what
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return tree
}

// Differences tells how a tree differs from the one before.
func Differences(before, after map[string]string) string {
	var text strings.Builder
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if now, ok := after[path]; !ok {
			fmt.Fprintf(&text, "/%s is gone\n", path)
		} else if now != before[path] {
			fmt.Fprintf(&text, "/%s was %s, is %s\n", path, before[path], now)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if _, ok := before[path]; !ok {
			fmt.Fprintf(&text, "/%s is new: %s\n", path, after[path])
		}
	}
	return text.String()
}

// Command returns a command that runs with the root directory for its own, and no environment but PATH
// and what is given.
func (r *Root) Command(env []string, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Path, cmd.Err = program, nil
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, env...)
	cmd.SysProcAttr = &unix.SysProcAttr{Chroot: r.Dir}
	return cmd
}

// Run runs a program, by its path in the root directory, and returns what it writes and its status.
func (r *Root) Run(env []string, program string, args ...string) (out string, status int) {
	r.t.Helper()
	return Status(r.t, r.Command(env, program, args...))
}

// Status runs a command and returns what it writes to both streams, and its exit status.
func Status(t *testing.T, cmd *exec.Cmd) (out string, status int) {
	t.Helper()
	var all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &all, &all
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	return all.String(), cmd.ProcessState.ExitCode()
}
