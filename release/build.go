package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// A target is an architecture that is built for.
type target struct {
	Arch  string // as Go names it
	Level string // the environment's setting of its oldest processors, so that the builder's own does not count
	Nfpm  string // as nfpm names it; "": as Go does
}

// targets are those that Linux distributions have, and osquery's users.
var targets = []target{
	{Arch: "amd64", Level: "GOAMD64=v1"},
	{Arch: "arm64", Level: "GOARM64=v8.0"},
	{Arch: "riscv64", Level: "GORISCV64=rva20u64"},
	{Arch: "ppc64le", Level: "GOPPC64=power8"},
	{Arch: "s390x"},
	{Arch: "arm", Level: "GOARM=7", Nfpm: "arm7"},
	{Arch: "386", Level: "GO386=sse2"},
}

func allArches() (arches []string) {
	for _, t := range targets {
		arches = append(arches, t.Arch)
	}
	return arches
}

func targetsOf(arches []string) (list []target, err error) {
next:
	for _, arch := range arches {
		for _, t := range targets {
			if t.Arch == arch {
				list = append(list, t)
				continue next
			}
		}
		return nil, fmt.Errorf("unknown architecture %q: there are %s", arch, strings.Join(allArches(), ", "))
	}
	return list, nil
}

// A build is one release: what is the same for all architectures.
type build struct {
	root string // the module's folder
	work string // a folder for what is made on the way

	version version
	given   bool // the version was given, rather than told by git
	date    time.Time
}

// prepare builds the program for this machine, which tells the version and makes the completions,
// and lays out the files that are the same for all architectures.
func prepare(work string, opts options) (*build, error) {
	mod, err := output(exec.Command("go", "env", "GOMOD"))
	if err != nil {
		return nil, err
	}
	b := &build{root: filepath.Dir(strings.TrimSpace(mod)), work: work, given: opts.Version != ""}
	if b.given {
		if b.version, err = parseVersion(opts.Version); err != nil {
			return nil, err
		}
		seconds, err := strconv.ParseInt(opts.Date, 10, 64)
		if err != nil {
			return nil, errors.New("--version needs SOURCE_DATE_EPOCH in the environment: " +
				"the date of what is built, in seconds since 1970")
		}
		b.date = time.Unix(seconds, 0).UTC()
	}
	host := filepath.Join(work, "host", "kernel-routes")
	if err := b.goBuild(host, "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH); err != nil {
		return nil, err
	}
	if !b.given {
		info, err := buildinfo.ReadFile(host)
		if err != nil {
			return nil, err
		}
		if err := b.told(info); err != nil {
			return nil, err
		}
	}
	return b, b.layOut(host)
}

// told takes version and date from what git told the compiler.
func (b *build) told(info *debug.BuildInfo) (err error) {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	switch {
	case settings["vcs.revision"] == "":
		return errors.New("this is no git checkout: clone the repository, or give --version")
	case settings["vcs.modified"] != "false":
		return errors.New("files differ from the commit (see git status): commit them, or build a clean clone")
	}
	if b.date, err = time.Parse(time.RFC3339, settings["vcs.time"]); err != nil {
		return err
	}
	b.version, err = parseVersion(info.Main.Version)
	return err
}

// compile builds the program for an architecture and returns its path.
func (b *build) compile(t target) (string, error) {
	file := filepath.Join(b.work, t.Arch, "kernel_routes.ext")
	env := []string{"GOOS=linux", "GOARCH=" + t.Arch}
	if t.Level != "" {
		env = append(env, t.Level)
	}
	return file, b.goBuild(file, env...)
}

// goBuild builds the program as it is shipped. Nothing in the builder's environment changes it.
func (b *build) goBuild(file string, env ...string) error {
	flags := "-s -w -buildid="
	vcs := "-buildvcs=true"
	if b.given {
		flags += fmt.Sprintf(" -X main.version=%s -X main.date=%s", b.version, b.date.Format(time.RFC3339))
		vcs = "-buildvcs=false"
	}
	cmd := exec.Command("go", "build", "-trimpath", vcs, "-ldflags="+flags, "-o", file, ".")
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off")
	cmd.Env = append(cmd.Env, env...)
	_, err := output(cmd)
	return err
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
