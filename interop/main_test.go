package interop

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
)

// The binary under test: built once a run, or the one VIGIE_BINARY names.
// VIGIE_RACE=1 builds it with the race detector, whose findings fail the test
// whose server had them.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("VIGIE_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(buildDir, "vigie")
	args := []string{"build", "-o", path}
	if os.Getenv("VIGIE_RACE") != "" {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "vigie/cmd/vigie")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build vigie/cmd/vigie: %w\n%s", err, out)
	}
	return path, nil
})

// buildDir lives as long as the test run.
var buildDir = filepath.Join(os.TempDir(), fmt.Sprintf("vigie-interop-%d", os.Getpid()))

func TestMain(m *testing.M) {
	if err := os.MkdirAll(buildDir, 0o700); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) {
		// These tests wait far more than they compute.
		_ = flag.Set("test.parallel", "12")
	}
	code := m.Run()
	_ = os.RemoveAll(buildDir)
	os.Exit(code)
}
