package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
)

// name is that of what is made for an architecture.
func (b *build) name(t target) string {
	name := "kernel-routes-" + b.version.String()
	if b.release != "1" {
		name += "-" + b.release
	}
	return name + "-linux-" + t.Arch
}

// An entry is a file of an archive.
type entry struct {
	name string
	file string // that has the content
	link string // where a link leads, in place of a file
}

// archive makes a .tar.gz for systems without packages: as a folder that tells how to install it by hand.
func (b *build) archive(t target, binary string) error {
	entries := []entry{
		{name: "kernel_routes.ext", file: binary},
		{name: "kernel-routes", link: "kernel_routes.ext"},
	}
	for from, to := range map[string]string{
		"doc": "", "packs": "packs/", "man1": "man/man1/", "man7": "man/man7/",
		"bash": "completions/bash/", "zsh": "completions/zsh/", "fish": "completions/fish/",
	} {
		err := filepath.WalkDir(b.file(from), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			name, err := filepath.Rel(b.file(from), file)
			if err != nil {
				return err
			}
			e := entry{name: to + filepath.ToSlash(name), file: file}
			if d.Type()&fs.ModeSymlink != 0 {
				e.file = ""
				e.link, err = os.Readlink(file)
			}
			entries = append(entries, e)
			return err
		})
		if err != nil {
			return err
		}
	}
	install := filepath.Join(b.dir, "release/INSTALL.md")
	entries = append(entries, entry{name: "INSTALL.md", file: install})
	sort.Slice(entries, func(i, j int) bool { return entries[i].name < entries[j].name })

	to, err := os.OpenFile(filepath.Join(b.to, b.name(t)+".tar.gz"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer to.Close()
	z, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	for _, e := range entries {
		if err := b.add(w, b.name(t)+"/", e); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return to.Close()
}

// add adds a file to an archive, owned by root and of the commit's date. Folders are made by who unpacks it.
func (b *build) add(w *tar.Writer, dir string, e entry) error {
	header := &tar.Header{
		Name: dir + e.name, Uname: "root", Gname: "root", ModTime: b.date, Format: tar.FormatUSTAR,
		Typeflag: tar.TypeSymlink, Linkname: e.link, Mode: 0o777,
	}
	if e.link != "" {
		return w.WriteHeader(header)
	}
	file, err := os.Open(e.file)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header.Typeflag, header.Mode, header.Size = tar.TypeReg, 0o644, info.Size()
	if info.Mode()&0o100 != 0 {
		header.Mode = 0o755
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(w, file)
	return err
}
