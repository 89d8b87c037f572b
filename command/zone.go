package command

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// zoneFolders are where the time package looks for a time zone that TZ names.
var zoneFolders = []string{"/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"}

// checkZone has times shown in UTC where the host's time zone is no file, but a FIFO, a folder or a device: the
// time package would open it, and wait for ever, when the first line is logged.
func checkZone() {
	files := []string{"/etc/localtime"}
	if zone, ok := os.LookupEnv("TZ"); ok {
		zone = strings.TrimPrefix(zone, ":")
		files = files[:0]
		if filepath.IsAbs(zone) {
			files = append(files, zone)
		} else if zone != "" {
			for _, folder := range zoneFolders {
				files = append(files, filepath.Join(folder, zone))
			}
		}
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && !info.Mode().IsRegular() {
			time.Local = time.UTC
		}
	}
}
