package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A source is what a release is made of: the files of a commit.
type source struct {
	dir     string // a folder with the files of the commit and no other
	version version
	given   bool // the version was given, rather than told by git
	date    time.Time
}

// given takes the files as they are, and version and date from the command line.
func given(root string, opts options) (*source, error) {
	v, err := parseVersion(opts.Version)
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.ParseInt(opts.Date, 10, 64)
	if err != nil {
		return nil, errors.New("--version needs SOURCE_DATE_EPOCH in the environment: " +
			"the date of what is built, in seconds since 1970")
	}
	return &source{dir: root, version: v, given: true, date: time.Unix(seconds, 0).UTC()}, nil
}

// clone makes a clone of the checkout at root and goes by its commit. Thus no file counts that git ignores,
// and it does not matter how the checkout was made: in a worktree Go would not find git's folder. Version
// and date are told by the first program that is built.
func clone(root, dir string) (*source, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, fmt.Errorf("git tells the version, and is missing: install it, or give --version (%w)", err)
	}
	top, err := git(root, "rev-parse", "--show-toplevel")
	switch {
	case err != nil && strings.Contains(err.Error(), "not a git repository"):
		return nil, errors.New("this is no git checkout: clone the repository, or give --version")
	case err != nil:
		return nil, err // of somebody else's checkout git says what to do
	}
	if !sameFile(strings.TrimSuffix(top, "\n"), root) {
		return nil, fmt.Errorf("%s is only a folder in the git checkout %s: clone the repository, or give --version",
			root, strings.TrimSpace(top))
	}
	changed, err := git(root, "status", "--porcelain", "--untracked-files=normal")
	if err != nil {
		return nil, err
	}
	if changed != "" {
		return nil, fmt.Errorf("files differ from the commit: commit or remove them, or build a clean clone\n%s",
			strings.TrimRight(changed, "\n"))
	}
	if shallow, err := git(root, "rev-parse", "--is-shallow-repository"); err != nil {
		return nil, err
	} else if strings.TrimSpace(shallow) == "true" {
		if _, err := git(root, "describe", "--exact-match", "--tags"); err != nil {
			fmt.Fprintln(os.Stderr, "warning: this clone is shallow and its commit has no tag: the version is told "+
				"without the tags before it; 'git fetch --unshallow --tags' gets them")
		}
	}
	// What a user has configured changes nothing: the files are those of the commit, byte by byte.
	_, err = git(root, "-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", "core.attributesFile=/dev/null",
		"-c", "core.hooksPath=/dev/null", "-c", "core.symlinks=true", "-c", "advice.detachedHead=false",
		"clone", "--quiet", "--template=", root, dir)
	return &source{dir: dir}, err
}

func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// gitFolders are what git goes by rather than by the working directory, as in a hook.
var gitFolders = []string{"GIT_DIR=", "GIT_WORK_TREE=", "GIT_INDEX_FILE=", "GIT_OBJECT_DIRECTORY=",
	"GIT_ALTERNATE_OBJECT_DIRECTORIES=", "GIT_COMMON_DIR=", "GIT_NAMESPACE=", "GIT_PREFIX="}

// git runs git in a folder, whatever the environment says of another one.
func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(environment(gitFolders...), "LC_ALL=C")
	return output(cmd)
}

// moduleRoot returns the folder of the module that the working directory is in.
func moduleRoot() (string, error) {
	mod, err := output(exec.Command("go", "env", "GOMOD"))
	return filepath.Dir(strings.TrimSpace(mod)), err
}

// environment returns the environment without what begins in one of these ways.
func environment(without ...string) []string {
	return slices.DeleteFunc(os.Environ(), func(set string) bool {
		return slices.ContainsFunc(without, func(prefix string) bool { return strings.HasPrefix(set, prefix) })
	})
}

// output runs a command and returns what it prints; what it says of an error is in the error.
func output(cmd *exec.Cmd) (string, error) {
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(errs.String()))
	}
	return string(out), nil
}
