package main

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
)

// check makes sure that a binary is what every host of an architecture can run, whatever C library it has,
// and that it tells nothing of the machine where it was built.
func (b *build) check(file string, t target) error {
	f, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("%s: %w", t.Arch, err)
	}
	defer f.Close()
	if f.Machine != t.Machine {
		return fmt.Errorf("%s: the binary is for %s rather than %s", t.Arch, f.Machine, t.Machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			return fmt.Errorf("%s: the binary is not statically linked: it has a %s", t.Arch, p.Type)
		}
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return err
	}
	set := settings(info)
	if set["CGO_ENABLED"] != "0" || set["-trimpath"] != "true" {
		return fmt.Errorf("%s: the binary was built otherwise than it is to be: %v", t.Arch, info.Settings)
	}
	if !b.given && set["vcs.revision"] == "" {
		return fmt.Errorf("%s: the binary does not know its commit: %v", t.Arch, info.Settings)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	// A checkout may be in /src: that word is in the binary anyway, /src/main.go is not.
	for _, path := range []string{filepath.Join(b.dir, "main.go"), filepath.Join(b.dir, "rtnl"), b.work, b.cache} {
		if bytes.Contains(data, []byte(path)) {
			return fmt.Errorf("%s: the binary has a path of this machine in it: %s", t.Arch, path)
		}
	}
	return nil
}
