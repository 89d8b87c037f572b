package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// again makes a release twice and compares. The second one is made of another clone, in a folder of another
// name, at another time, with other files' times, umask, home, language, time zone and caches of the
// compiler, and with settings of Go that are not to count.
func again(opts options) error {
	if opts.Version != "" {
		return errors.New("--again builds a second clone, and there is none of what has a --version")
	}
	if err := release(opts); err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	dir, remove, err := scratch("other place")
	if err != nil {
		return err
	}
	defer remove()
	src, to := filepath.Join(dir, "a", "clone of it"), filepath.Join(dir, "dist")
	script := `umask 077
git clone --quiet "$1" "$2" && cd "$2" && git checkout --quiet "$3"
find . -name .git -prune -o -exec touch -d 2001-02-03 {} +
exec go run ./release --to "$4" --arch "$5" --release "$6"`
	commit, err := git(root, "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	cmd := exec.Command("sh", "-euc", script, "sh", root, src, strings.TrimSpace(commit), to,
		strings.Join(opts.Arches, ","), opts.Release)
	cmd.Env, err = circumstances(dir)
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	elsewhere(cmd)
	fmt.Println("again, in", src)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the second time: %w", err)
	}
	return compare(opts.To, to)
}

// circumstances is an environment that has nothing to do with that of the first build.
func circumstances(dir string) ([]string, error) {
	env, err := goEnvironment(".")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"home", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return nil, err
		}
	}
	// With GOENV=off of the first build nobody could see whether the second one is deaf to settings.
	settings := filepath.Join(dir, "home", "goenv")
	if err := os.WriteFile(settings, []byte("GOFLAGS=-tags=other -ldflags=-w\nGO386=softfloat\n"), 0o600); err != nil {
		return nil, err
	}
	// The checkout may be another user's.
	config := filepath.Join(dir, "home", ".gitconfig")
	if err := os.WriteFile(config, []byte("[safe]\n\tdirectory = *\n"), 0o600); err != nil {
		return nil, err
	}
	return append(env, "GOENV="+settings, "GOCACHE="+filepath.Join(dir, "cache"), "GOAMD64=v2", "GOARM=5",
		"HOME="+filepath.Join(dir, "home"), "TMPDIR="+filepath.Join(dir, "tmp"), "TZ=Pacific/Chatham",
		"LC_ALL=tr_TR.UTF-8", "LANG=tr_TR.UTF-8", "USER=other", "LOGNAME=other", "SOURCE_DATE_EPOCH=1",
		"GOMAXPROCS="+strconv.Itoa(runtime.NumCPU()+1), "CFLAGS=-O0", "XZ_OPT=-1", "GZIP=-1"), nil
}
