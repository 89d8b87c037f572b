package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const sumsFile = "SHA256SUMS"

// sums writes SHA256SUMS, as sha256sum does, of everything else in a folder, which all may read whatever the umask.
func sums(dir string) error {
	files, err := released(dir)
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, name := range files {
		if name == sumsFile {
			continue
		}
		mode := os.FileMode(0o644)
		if filepath.Ext(name) == ".ext" {
			mode = 0o755
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			return err
		}
		sum, err := sumOf(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s  %s\n", sum, name)
	}
	return write(filepath.Join(dir, sumsFile), []byte(text.String()), 0o644)
}

// released lists the files of a release, sorted.
func released(dir string) (names []string, err error) {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names, err
}

func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// compare says how two releases differ.
func compare(a, b string) error {
	in := map[string][2]bool{}
	for i, dir := range []string{a, b} {
		names, err := released(dir)
		if err != nil {
			return err
		}
		if len(names) == 0 {
			return fmt.Errorf("%s is empty", dir)
		}
		for _, name := range names {
			both := in[name]
			both[i] = true
			in[name] = both
		}
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(in)) {
		both := in[name]
		switch {
		case !both[0]:
			problems = append(problems, fmt.Errorf("%s is only in %s", name, b))
		case !both[1]:
			problems = append(problems, fmt.Errorf("%s is only in %s", name, a))
		default:
			if err := differ(filepath.Join(a, name), filepath.Join(b, name)); err != nil {
				problems = append(problems, err)
			}
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	fmt.Printf("%s and %s are the same, byte for byte: %d files\n", a, b, len(in))
	return nil
}

// differ returns where two files differ.
func differ(a, b string) error {
	x, err := os.ReadFile(a)
	if err != nil {
		return err
	}
	y, err := os.ReadFile(b)
	if err != nil {
		return err
	}
	n, first := 0, -1
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			if n++; first < 0 {
				first = i
			}
		}
	}
	if n == 0 && len(x) == len(y) {
		return nil
	}
	first = max(first, 0)
	return fmt.Errorf("%s and %s differ: %d and %d bytes, %d of those that both have, the first at %d:\n\t%q\n\t%q",
		a, b, len(x), len(y), n, first, around(x, first), around(y, first))
}

func around(data []byte, at int) []byte { return data[max(0, at-32):min(len(data), at+32)] }
