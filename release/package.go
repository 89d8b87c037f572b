package main

import (
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
)

// nfpm makes the packages, as nfpm.yaml says.
const nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2"

// formats are the kinds of packages, as nfpm names them.
var formats = []string{"deb", "rpm", "apk"}

// layOut makes the files that all packages have and that are not in the repository as they are installed:
// compressed manual pages, and completions, which the program prints.
func (b *build) layOut(program string) error {
	for _, section := range []string{"1", "7"} {
		pages, err := filepath.Glob(filepath.Join(b.root, "docs/man/*."+section))
		if err != nil {
			return err
		}
		for _, page := range pages {
			to := filepath.Join(b.work, "man"+section, filepath.Base(page)+".gz")
			if err := compress(page, to); err != nil {
				return err
			}
		}
	}
	if err := compress(filepath.Join(b.root, "CHANGELOG.md"), filepath.Join(b.work, "changelog.gz")); err != nil {
		return err
	}
	for shell, name := range map[string]string{
		"bash": "kernel-routes", "zsh": "_kernel-routes", "fish": "kernel-routes.fish",
	} {
		script, err := output(exec.Command(program, "completion", shell))
		if err != nil {
			return err
		}
		if err := write(filepath.Join(b.work, shell, name), []byte(script)); err != nil {
			return err
		}
	}
	return nil
}

// compress compresses a file, without its name and time.
func compress(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	defer file.Close()
	z, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(data); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return file.Close()
}

func write(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// pack makes a package.
func (b *build) pack(t target, binary, format, to string) error {
	to, err := filepath.Abs(to)
	if err != nil {
		return err
	}
	version := b.version.deb()
	if format == "apk" {
		version = b.version.apk()
	}
	arch := t.Nfpm
	if arch == "" {
		arch = t.Arch
	}
	cmd := exec.Command("go", "run", nfpm, "package", "--config", "release/nfpm.yaml", "--packager", format, "--target", to)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH,
		"VERSION="+version, "ARCH="+arch, "BINARY="+binary, "FILES="+b.work,
		"SOURCE_DATE_EPOCH="+strconv.FormatInt(b.date.Unix(), 10))
	if _, err := output(cmd); err != nil {
		return fmt.Errorf("make the .%s for %s: %w", format, t.Arch, err)
	}
	return nil
}
