//go:build linux

package osquerytest

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Which extensions osqueryd starts by itself, decided as osquery decides it: read in its
// source at commit a5b14f63d98c (August 2026), whose functions are named where their rule is.

// maxListSize is what osquery's readFile takes (--read_max): of a longer list nothing is loaded.
const maxListSize = 50 << 20

// maxDepth is how deep below a folder that is listed osquery looks (kMaxRecursiveGlobs).
const maxDepth = 64

// blanks is what boost::trim takes off: std::isspace in the C locale, and no other blank of Unicode.
const blanks = " \t\n\v\f\r"

// LoadList reads a list of extensions (--extensions_autoload, by default /etc/osquery/extensions.load)
// and returns what it names, files and folders, each once and in the list's order. Lines are cut at
// line feeds and trimmed; empty ones and those that begin with # or ; say nothing (isFileSafe). A
// comment behind a path is part of the path, and nothing is quoted or expanded.
func LoadList(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(text) > maxListSize {
		return nil, fmt.Errorf("%s has %d bytes: osquery reads no file above %d", path, len(text), maxListSize)
	}
	var entries []string
	for line := range strings.SplitSeq(string(text), "\n") {
		entry := strings.Trim(line, blanks)
		if entry == "" || entry[0] == '#' || entry[0] == ';' || slices.Contains(entries, entry) {
			continue
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// SafeToLoad returns nil if osquery, run by user uid, starts the extension at path, or says which rule
// forbids it. The path is as osquery sees it, and is looked up with root for the root directory, symbolic
// links as well: "/" is this machine. That osquery itself may read the file is not asked of another uid.
func SafeToLoad(root, path string, uid int) error {
	info, err := stat(root, path)
	if err != nil { // pathExists, and platformIsFileAccessible
		return fmt.Errorf("%s does not exist for osquery (pathExists): %w", path, err)
	}
	if info.Mode&unix.S_IFMT == unix.S_IFDIR {
		return fmt.Errorf("%s is a folder, which is no extension (isDirectory)", path)
	}
	// The folder is that of the name: of a link's target neither the folder nor the name is looked at.
	folder, err := stat(root, filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("the folder of %s cannot be looked at (platformIsTmpDir): %w", path, err)
	}
	if folder.Mode&unix.S_ISVTX != 0 {
		return fmt.Errorf("%s is in a folder with the sticky bit, like /tmp (platformIsTmpDir)", path)
	}
	if err := safePermissions(info, uid); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if filepath.Ext(path) != ".ext" {
		return fmt.Errorf("%s does not end in .ext (kFileExtensions)", path)
	}
	return nil
}

// safePermissions is about the file itself, a link's target: who owns it, and its mode. The bits for the
// group are not looked at: it may write, and need not execute.
func safePermissions(file unix.Stat_t, uid int) error {
	switch {
	case file.Uid != 0 && int64(file.Uid) != int64(uid):
		return fmt.Errorf("owned by user %d, neither root nor osquery's own %d (isOwnerRoot, isOwnerCurrentUser)",
			file.Uid, uid)
	case file.Mode&unix.S_IXUSR == 0:
		return errors.New("not executable by its owner (isExecutable)")
	case file.Mode&unix.S_IWOTH != 0:
		return errors.New("anybody may write it (hasSafePermissions)")
	}
	return nil
}

// Autoloaded returns the extensions that osquery, run by user uid, starts because of a list (a path below
// root, as are the results), sorted and each once, and why it does not start others (loadExtensions). Of
// a folder that is listed every file below it is looked at, but for hidden ones right in it.
func Autoloaded(root, list string, uid int) (started []string, refused []error, err error) {
	entries, err := LoadList(filepath.Join(root, list))
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		files := []string{entry}
		if isFolder(root, entry) {
			l := lister{root: root, visited: make(map[[2]uint64]bool)}
			l.below(entry, 0)
			files = l.files
		}
		for _, file := range files {
			if err := SafeToLoad(root, file, uid); err != nil {
				refused = append(refused, err)
				continue
			}
			started = append(started, file)
		}
	}
	slices.Sort(started)
	return slices.Compact(started), refused, nil
}

// lister collects the files below a folder, as osquery's dfsTraverseDirectories.
type lister struct {
	root    string
	visited map[[2]uint64]bool // folders by device and inode: links may lead around in a circle
	files   []string
}

// below adds the files below a folder, those of folders that links lead to as well.
func (l *lister) below(folder string, depth int) {
	fd, err := openIn(l.root, folder, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return // osquery passes over what it may not read
	}
	opened := os.NewFile(uintptr(fd), folder)
	defer opened.Close()
	var info unix.Stat_t
	if depth > maxDepth || unix.Fstat(fd, &info) != nil {
		return
	}
	// The folder that is listed is not among the visited, a link to it is gone through once.
	if id := [2]uint64{info.Dev, info.Ino}; depth > 0 {
		if l.visited[id] {
			return
		}
		l.visited[id] = true
	}
	names, _ := opened.Readdirnames(-1)
	slices.Sort(names)
	for _, name := range names {
		if depth == 0 && name[0] == '.' { // osquery's pattern begins with *, which does not match these
			continue
		}
		file := path.Join(folder, name)
		if isFolder(l.root, file) {
			l.below(file, depth+1)
			continue
		}
		l.files = append(l.files, file)
	}
}

func isFolder(root, path string) bool {
	info, err := stat(root, path)
	return err == nil && info.Mode&unix.S_IFMT == unix.S_IFDIR
}

// stat follows links, none of which leads out of root.
func stat(root, path string) (unix.Stat_t, error) {
	var info unix.Stat_t
	fd, err := openIn(root, path, unix.O_PATH)
	if err != nil {
		return info, err
	}
	defer unix.Close(fd)
	return info, unix.Fstat(fd, &info)
}

// openIn opens a file with root for the root directory, as in a chroot, which takes rights.
func openIn(root, path string, flags uint64) (int, error) {
	top, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the root directory %s: %w", strconv.Quote(root), err)
	}
	defer unix.Close(top)
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT} // Linux 5.6
	for {
		fd, err := unix.Openat2(top, path, &how)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) { // a name was moved meanwhile
			return fd, err
		}
	}
}
