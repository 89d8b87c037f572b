// Command release builds what is released, into dist/:
//
//	go run ./release                        # of a clean checkout, for every architecture
//	go run ./release --arch amd64,arm64     # for some
//
// The version, the commit and its date are those that git tells the Go compiler. What is built is the
// same, byte for byte, whoever builds it, wherever and whenever.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	opts := options{Arches: allArches()}
	arches := flag.String("arch", strings.Join(opts.Arches, ","), "`architectures`, as Go names them")
	flag.StringVar(&opts.To, "to", "dist", "`folder` that is written to; what was in it is removed")
	flag.StringVar(&opts.Version, "version", "", "`version` of what is no git checkout, as 1.2.3; "+
		"SOURCE_DATE_EPOCH in the environment is then its date")
	flag.Parse()
	opts.Arches, opts.Date = strings.Split(*arches, ","), os.Getenv("SOURCE_DATE_EPOCH")
	err := error(nil)
	if flag.NArg() > 0 {
		err = fmt.Errorf("%q means nothing; see --help", flag.Args())
	} else {
		err = release(opts)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot make the release:", err)
		os.Exit(1)
	}
}

type options struct {
	Arches  []string
	To      string // folder
	Version string // "": git's
	Date    string // of what has a version given, in seconds since 1970
}

// release builds everything into a folder.
func release(opts options) error {
	targets, err := targetsOf(opts.Arches)
	if err != nil {
		return err
	}
	if err := clear(opts.To); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "kernel-routes-release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	b, err := prepare(work, opts)
	if err != nil {
		return err
	}
	for _, t := range targets {
		fmt.Println("building for", t.Arch)
		binary, err := b.compile(t)
		if err != nil {
			return err
		}
		for _, format := range formats {
			if err := b.pack(t, binary, format, opts.To); err != nil {
				return err
			}
		}
	}
	return nil
}

// clear makes an empty folder. It removes only one that this command has made.
func clear(dir string) error {
	mark := filepath.Join(dir, ".kernel-routes-release")
	if found, err := os.ReadDir(dir); err == nil && len(found) > 0 {
		if _, err := os.Stat(mark); err != nil {
			return fmt.Errorf("%s has files that this command did not write: give another folder by --to", dir)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o644)
}
