//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A release is what a machine needs of a Debian release, in files.
type release struct {
	kernel  string // the kernel
	archive string // the packages, as an archive
}

// release returns what a machine needs of a release, which is made if it is not there.
func (j *job) release(k kernel) (release, error) {
	d := debian{suite: k.suite, arch: j.arch.debian, folder: filepath.Join(j.cache, k.suite+"-"+j.arch.debian)}
	r := release{kernel: filepath.Join(d.folder, "vmlinuz"), archive: filepath.Join(d.folder, "root.cpio")}
	_, err := os.Stat(r.archive)
	if err == nil && !j.fresh {
		return r, nil
	}
	fmt.Printf("Taking the packages of Debian %s from %s\n", k.suite, mirror)
	root := filepath.Join(d.folder, "root")
	if err := os.RemoveAll(root); err != nil {
		return r, err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return r, err
	}
	defer os.RemoveAll(root)
	linux := "linux-image-" + j.arch.debian
	if err := d.unpack(root, append(slices.Clone(userland), linux)...); err != nil {
		return r, fmt.Errorf("take the packages of Debian %s: %w", k.suite, err)
	}
	var images []string
	for _, pattern := range []string{"boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz"} { // until trixie, and since
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return r, err
		}
		images = append(images, found...)
	}
	if len(images) != 1 {
		return r, fmt.Errorf("%s has the kernels %q, not one", linux, images)
	}
	if err := os.Rename(images[0], r.kernel); err != nil {
		return r, err
	}
	return r, pack(r.archive, root)
}

// pack makes the archive of the files of packages.
func pack(file, root string) error {
	f, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	defer f.Close()
	a := newArchive(f)
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp", "root", "etc", "var/tmp", "mnt"} {
		a.folder(dir)
	}
	for _, dir := range merged {
		a.symlink(dir, "usr/"+dir)
	}
	a.symlink("usr/bin/sh", "dash")
	for _, name := range []string{"awk", "ps", "vi"} {
		if _, err := os.Lstat(filepath.Join(root, "usr/bin", name)); err != nil {
			a.symlink("usr/bin/"+name, "busybox")
		}
	}
	a.text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n", 0o644)
	a.text("etc/group", "root:x:0:\nnogroup:x:65534:\n", 0o644)
	a.text("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n", 0o644)
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || entry.IsDir() && !keeps(name+"/") {
			return filepath.SkipDir
		}
		if to := place(name); !entry.IsDir() && keeps(name) && to != "" {
			a.file(to, path)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("pack %s: %w", root, err)
	}
	if err := a.close(); err != nil {
		return fmt.Errorf("pack %s: %w", root, err)
	}
	return os.Rename(file+".new", file)
}

// merged are the folders that are links to those of /usr, as in every Debian since 2023; packages of older ones still
// have them apart.
var merged = []string{"bin", "sbin", "lib", "lib64"}

// place returns where a packages' file is in the archive, "" if it has no place there.
func place(name string) string {
	top, _, below := strings.Cut(name, "/")
	switch {
	case !slices.Contains(merged, top):
		return name
	case !below:
		return "" // the link
	}
	return "usr/" + name
}

// left are files of packages that no test needs.
var left = []string{
	"boot/", "usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/zoneinfo/",
	"usr/share/bash-completion/", "usr/share/i18n/", "usr/share/perl", "usr/lib/systemd/", "lib/systemd/",
	"usr/lib/udev/", "lib/udev/", "usr/lib/dracut/", "var/",
	"usr/share/initramfs-tools/", "etc/systemd/", "etc/init.d/", "etc/pam.d/",
}

// keeps reports whether a file, or a folder with a slash at its end, is kept for the archive.
func keeps(name string) bool {
	for _, l := range left {
		if strings.HasPrefix(name, l) {
			return false
		}
	}
	if strings.Contains(name, "/perl") || strings.Contains(name, "/gconv/") {
		return false
	}
	_, below, found := strings.Cut(name, "lib/modules/")
	if !found {
		return true
	}
	_, path, found := strings.Cut(below, "/kernel/") // behind the kernel's version
	if !found || path == "" {
		return true
	}
	return slices.ContainsFunc(modules, func(m string) bool {
		return strings.HasPrefix(path, m) || strings.HasSuffix(path, "/") && strings.HasPrefix(m, path)
	})
}
