package command

import (
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Linked is what the linker was told of the build, "" where it was told nothing.
type Linked struct{ Version, Commit, Date string }

// linked is what package main was given. What is not set is what git told. (`go build` does not ask
// git in a worktree of `git worktree add`, nor where `go run` builds.)
var linked Linked

// withoutGit stands for what only git could have told.
const withoutGit = "unknown: the build did not ask git"

// A build is where the program comes from.
type build struct {
	// Version is the tag, or what `go build` makes of the commit after the last tag, without the
	// v in front: 1.2.3, 1.2.4-0.20261126122442-7932e2d35987, with +dirty where files were
	// changed. Every one is a version as semver.org has it, so that osquery's version_compare
	// orders them; without git it is one that comes before every release.
	Version string
	Commit  string // with a note where files were changed
	Date    string // of the commit, RFC 3339, UTC
	Go      string // "go1.26.8 linux/amd64"
}

// thisBuild tells of the running program.
func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo) // not made by the go command
	}
	return buildOf(info)
}

func buildOf(info *debug.BuildInfo) build {
	told := make(map[string]string) // what git told the go command
	for _, s := range info.Settings {
		told[s.Key] = s.Value
	}
	b := build{linked.Version, linked.Commit, linked.Date,
		runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH}
	if b.Version == "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	if b.Version = strings.TrimPrefix(b.Version, "v"); b.Version == "" {
		b.Version = "0.0.0-unknown"
	}
	if b.Commit == "" {
		b.Commit = told["vcs.revision"]
		if b.Commit != "" && told["vcs.modified"] == "true" {
			b.Commit += ", and files that were changed"
		}
	}
	if b.Date == "" {
		b.Date = told["vcs.time"]
	}
	if t, err := time.Parse(time.RFC3339, b.Date); err == nil {
		b.Date = t.UTC().Format(time.RFC3339)
	}
	if b.Commit == "" {
		b.Commit = withoutGit
	}
	if b.Date == "" {
		b.Date = withoutGit
	}
	return b
}
