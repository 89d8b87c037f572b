// Package writefiles writes what generators make.
package writefiles

import (
	"os"
	"path/filepath"
)

// Below writes files below a folder, by their paths there, and makes the folders that they are in.
func Below(dir string, files map[string][]byte) error {
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
