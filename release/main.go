// Command release builds what is released, into dist/:
//
//	go run ./release                        # of a clean checkout, for every architecture
//	go run ./release --arch amd64,arm64     # for some
//	go run ./release --again                # twice, under different circumstances, and compares
//	go run ./release --compare DIR          # compares dist/ with what others have built or downloaded
//
// The version, the commit and its date are those that git tells the Go compiler. What is built is the
// same, byte for byte, whoever builds it, wherever and whenever, with the same version of Go.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	work, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = work()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make the release:", err)
		os.Exit(1)
	}
}

// parse returns what the command line asks for.
func parse(args []string) (func() error, error) {
	opts := options{Date: os.Getenv("SOURCE_DATE_EPOCH")}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	arches := flags.String("arch", strings.Join(allArches(), ","), "`architectures`, as Go names them")
	flags.StringVar(&opts.To, "to", "dist", "`folder` that is written to; an earlier release in it is removed")
	flags.StringVar(&opts.Version, "version", "", "`version` of what is no git checkout, as 1.2.3; "+
		"SOURCE_DATE_EPOCH in the environment is then its date")
	flags.StringVar(&opts.Release, "release", "1", "`number` of the packages, more than 1 if they are "+
		"made again of the same version")
	twice := flags.Bool("again", false, "build a second time, in another folder and with other settings, and compare")
	with := flags.String("compare", "", "build nothing: compare the folder that is written to with another `folder`")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	opts.Arches = strings.Split(*arches, ",")
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q means nothing; see --help", flags.Args())
	case *with != "":
		return func() error { return compare(opts.To, *with) }, nil
	case *twice:
		return func() error { return again(opts) }, nil
	}
	return func() error { return release(opts) }, nil
}

type options struct {
	Root    string // folder of the module, "" for that of the working directory
	Arches  []string
	To      string // folder
	Version string // "": git's
	Date    string // of what has a version given, in seconds since 1970
	Release string // of the packages
	Quiet   bool
}

var releaseNumber = regexp.MustCompile(`^[1-9][0-9]{0,8}$`)

// release builds everything into a folder.
func release(opts options) error {
	targets, err := targetsOf(opts.Arches)
	if err != nil {
		return err
	}
	if opts.Release == "" {
		opts.Release = "1"
	}
	if !releaseNumber.MatchString(opts.Release) {
		return fmt.Errorf("--release %q is no number from 1 on", opts.Release)
	}
	if _, err := old(opts.To); err != nil {
		return err // before what takes minutes
	}
	work, remove, err := scratch("kernel-routes-release")
	if err != nil {
		return err
	}
	defer remove()

	say := func(format string, args ...any) {
		if !opts.Quiet {
			fmt.Printf(format+"\n", args...)
		}
	}
	say("preparing: the tools, and the program for this machine, with %s", runtime.Version())
	b, err := prepare(work, opts)
	if err != nil {
		return err
	}
	if err := clear(b.to); err != nil {
		return err
	}
	for _, t := range targets {
		start := time.Now()
		if err := b.all(t); err != nil {
			return err
		}
		say("%s of %s for %s: built and packed in %.0f s", b.version, b.date.Format(time.DateOnly), t.Arch,
			time.Since(start).Seconds())
	}
	if err := sums(b.to); err != nil {
		return err
	}
	names, err := released(b.to)
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(b.to, name))
		if err != nil {
			return err
		}
		say("%9d  %s", info.Size(), filepath.Join(opts.To, name))
	}
	return nil
}

// all makes everything for an architecture.
func (b *build) all(t target) error {
	binary, err := b.compile(t)
	if err != nil {
		return err
	}
	if err := b.settle(filepath.Dir(binary)); err != nil {
		return err
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	// osquery loads only what is named .ext.
	if err := write(filepath.Join(b.to, b.name(t)+".ext"), data, 0o755); err != nil {
		return err
	}
	var made errgroup.Group
	for _, format := range formats {
		made.Go(func() error { return b.pack(t, binary, format) })
	}
	made.Go(func() error { return b.archive(t, binary) })
	made.Go(func() error { return b.sbom(t, binary) })
	return made.Wait()
}

// madeHere matches the names of what this command, and who signs, makes.
var madeHere = regexp.MustCompile(`^(kernel-routes[-_]\d.*\.(ext|deb|rpm|apk|tar\.gz|cdx\.json)|SHA256SUMS(\..*)?)$`)

// old lists the files of an earlier release in a folder, which is to have no others.
func old(dir string) (files []string, err error) {
	found, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, f := range found {
		if !f.Type().IsRegular() || !madeHere.MatchString(f.Name()) {
			return nil, fmt.Errorf("%s has %s, which this command did not write: give another folder by --to",
				dir, f.Name())
		}
		files = append(files, filepath.Join(dir, f.Name()))
	}
	return files, nil
}

// clear makes an empty folder. One that is there stays, with its mode: it may be a link, or a file system.
func clear(dir string) error {
	files, err := old(dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return os.MkdirAll(dir, 0o755)
}
