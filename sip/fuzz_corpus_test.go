//go:build corpus

package sip

import (
	"os"
	"path/filepath"
	"testing"
)

// addTorture starts a fuzz target from the torture messages.
func addTorture(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(tortureDir(f), "*.dat"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no torture messages: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}
