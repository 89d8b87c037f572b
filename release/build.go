package main

import (
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A target is an architecture that is built for.
type target struct {
	Arch    string      // as Go names it
	Level   string      // the environment's setting of its oldest processors, so that the builder's own does not count
	Nfpm    string      // as nfpm names it; "": as Go does
	Machine elf.Machine // as binaries name it
}

// targets are those that Linux distributions have, and osquery's users.
var targets = []target{
	{Arch: "amd64", Level: "GOAMD64=v1", Machine: elf.EM_X86_64},
	{Arch: "arm64", Level: "GOARM64=v8.0", Machine: elf.EM_AARCH64},
	{Arch: "riscv64", Level: "GORISCV64=rva20u64", Machine: elf.EM_RISCV},
	{Arch: "ppc64le", Level: "GOPPC64=power8", Machine: elf.EM_PPC64},
	{Arch: "s390x", Machine: elf.EM_S390},
	{Arch: "arm", Level: "GOARM=7", Nfpm: "arm7", Machine: elf.EM_ARM},
	{Arch: "386", Level: "GO386=sse2", Machine: elf.EM_386},
}

func allArches() (arches []string) {
	for _, t := range targets {
		arches = append(arches, t.Arch)
	}
	return arches
}

func targetsOf(arches []string) (list []target, err error) {
next:
	for i, arch := range arches {
		if slices.Contains(arches[:i], arch) {
			return nil, fmt.Errorf("the architecture %q is named twice", arch)
		}
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
	*source
	work    string   // a folder for what is made on the way
	to      string   // a folder for what is released
	release string   // of the packages, of one version: 1, and more if only the packages change
	goEnv   []string // the environment of the Go command
	cache   string   // the folder of modules
	sqlite  string   // the version of SQLite in the program
}

// prepare finds out what is built, builds the tools and the program for this machine, which tells the version
// and makes the completions, and lays out the files that are the same for all architectures.
func prepare(work string, opts options) (*build, error) {
	b := &build{work: work, release: opts.Release}
	var err error
	if b.to, err = filepath.Abs(opts.To); err != nil {
		return nil, err
	}
	root := opts.Root
	if root == "" {
		if root, err = moduleRoot(); err != nil {
			return nil, err
		}
	}
	if opts.Version != "" {
		b.source, err = given(root, opts)
	} else {
		b.source, err = clone(root, filepath.Join(work, "src"))
	}
	if err != nil {
		return nil, err
	}
	if b.goEnv, err = goEnvironment(root); err != nil {
		return nil, err
	}
	for _, e := range b.goEnv {
		if value, ok := strings.CutPrefix(e, "GOMODCACHE="); ok {
			b.cache = value
		}
	}
	if err := b.buildTools(); err != nil {
		return nil, err
	}
	program, err := b.host()
	if err != nil {
		return nil, err
	}
	if !b.given {
		if err := b.told(program); err != nil {
			return nil, err
		}
	}
	return b, b.layOut(program)
}

// kept are the settings of the Go command that say where modules come from and where they are kept. No other
// setting of the builder's counts, neither of the environment nor of go env -w.
var kept = []string{"GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GOVCS", "GOAUTH",
	"GOTOOLCHAIN", "GOMODCACHE", "GOCACHE", "GOPATH", "GOTMPDIR"}

func goEnvironment(root string) ([]string, error) {
	cmd := exec.Command("go", append([]string{"env", "-json"}, kept...)...)
	cmd.Dir = root
	out, err := output(cmd)
	if err != nil {
		return nil, err
	}
	set := map[string]string{}
	if err := json.Unmarshal([]byte(out), &set); err != nil {
		return nil, err
	}
	env := environment(append([]string{"GO", "CGO_"}, gitFolders...)...)
	env = append(env, "GOENV=off", "GOWORK=off", "CGO_ENABLED=0", "GO_EXTLINK_ENABLED=0")
	for _, name := range kept {
		env = append(env, name+"="+set[name])
	}
	return env, nil
}

// buildTools builds what makes packages and SBOMs, in the versions of release/tools/go.mod.
func (b *build) buildTools() error {
	if err := os.MkdirAll(filepath.Join(b.work, "tools"), 0o755); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(b.work, "tools"), "tool")
	cmd.Dir, cmd.Env = filepath.Join(b.dir, "release/tools"), b.goEnv
	_, err := output(cmd)
	return err
}

// tool is a command of what buildTools has built.
func (b *build) tool(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(b.work, "tools", name), args...)
	cmd.Dir, cmd.Env = b.dir, b.goEnv
	return cmd
}

// host builds the program for this machine.
func (b *build) host() (string, error) {
	if list, err := targetsOf([]string{runtime.GOARCH}); err == nil && runtime.GOOS == "linux" {
		return b.compile(list[0])
	}
	file := filepath.Join(b.work, "host", "kernel_routes.ext")
	return file, b.goBuild(file, "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
}

// told takes version and date from what git told the compiler.
func (b *build) told(program string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return err
	}
	set := settings(info)
	switch {
	case set["vcs.revision"] == "":
		return errors.New("git did not tell the compiler the commit: give --version")
	case set["vcs.modified"] != "false":
		return fmt.Errorf("a clone of the checkout differs from its commit (a filter of .gitattributes?): %s", b.dir)
	}
	if b.date, err = time.Parse(time.RFC3339, set["vcs.time"]); err != nil {
		return err
	}
	if b.version, err = parseVersion(info.Main.Version); err != nil {
		return err
	}
	return b.tagTold(info.Main.Version)
}

// tagTold makes sure that a commit that somebody has given the tag of a version is released as that version.
// Go passes over tags that are no versions of the module, such as v1.2.3+meta, or v2.0.0 without /v2 in its path.
func (b *build) tagTold(version string) error {
	tags, err := git(b.dir, "tag", "--points-at", "HEAD", "--list", "v[0-9]*")
	if err != nil {
		return err
	}
	for _, tag := range strings.Fields(tags) {
		if tag == version {
			return nil
		}
	}
	if tags != "" {
		return fmt.Errorf("the commit has the tag %s, but Go says that it is %s: a tag is to be as v1.2.3 or "+
			"v1.2.3-rc.1, and from v2.0.0 on the module's path in go.mod ends in /v2",
			strings.Join(strings.Fields(tags), ", "), version)
	}
	return nil
}

func settings(info *debug.BuildInfo) map[string]string {
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	return set
}

// compile builds the program for an architecture, unless that is done, and returns its path.
func (b *build) compile(t target) (string, error) {
	file := filepath.Join(b.work, t.Arch, "kernel_routes.ext")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	env := []string{"GOOS=linux", "GOARCH=" + t.Arch}
	if t.Level != "" {
		env = append(env, t.Level)
	}
	if err := b.goBuild(file, env...); err != nil {
		return "", err
	}
	return file, b.check(file, t)
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
	cmd.Dir = b.dir
	cmd.Env = append(append([]string{}, b.goEnv...), env...)
	_, err := output(cmd)
	return err
}
